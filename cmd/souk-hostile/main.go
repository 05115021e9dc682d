// Command souk-hostile is a misbehaving peer for tests and testnets of souk.
//
// `souk-hostile provider` looks like the best provider of its network, leases,
// takes the inputs, runs nothing, and then cheats as --behave says.
// `souk-hostile client` tries on one provider what a client may not do, and
// exits with 0 if the provider kept to the protocol's rules, as far as that is
// seen from outside, and with 1 if not. `souk-hostile behaviours` lists both.
//
// It promises to be built on protocol/* alone, so that it shares no mistake
// with the node that it tries; to say each thing that it does in one line; and
// to end on SIGTERM, or when whoever started it goes. It keeps no state but
// its key. It never runs a job and never sends anything but what its arguments
// name to any but the peers that they name or that find it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitKept   = 0 // all went as it should, or the provider kept to the rules
	exitBroken = 1 // the provider broke a rule, or this program failed
	exitUsage  = 2
)

// errUsage is a wrong command line; what is wrong was printed.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := command(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitKept
	case errors.Is(err, errUsage):
		return exitUsage
	case !errors.Is(err, errBroken): // of a broken rule everything is said already
		fmt.Fprintln(os.Stderr, "souk-hostile:", err)
	}
	return exitBroken
}

// streams are where a program reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func command(ctx context.Context, args []string, std streams) error {
	if len(args) > 0 {
		switch args[0] {
		case "provider":
			return providerCommand(ctx, args[1:], std)
		case "client":
			return clientCommand(ctx, args[1:], std)
		case "behaviours":
			listBehaviours(std.out)
			return nil
		}
	}
	fmt.Fprintln(std.err, "usage: souk-hostile provider|client|behaviours [flags]; --help after either of the first two names its flags")
	return errUsage
}

func listBehaviours(w io.Writer) {
	fmt.Fprintln(w, "provider --behave:")
	for _, c := range cheats() {
		fmt.Fprintf(w, "  %-20s %s\n", c.name, c.does)
	}
	fmt.Fprintln(w, "client --behave:")
	for _, a := range attacks() {
		fmt.Fprintf(w, "  %-20s %s\n", a.name, a.does)
	}
}

// parse reads flags; nothing may stand after them.
func parse(f *flag.FlagSet, args []string, std streams) error {
	f.SetOutput(std.err)
	if err := f.Parse(args); err != nil {
		return errUsage
	}
	if f.NArg() > 0 {
		return misused(std, "%q stands after the flags; nothing may", f.Arg(0))
	}
	return nil
}

func misused(std streams, format string, args ...any) error {
	fmt.Fprintf(std.err, "souk-hostile: "+format+"\n", args...)
	return errUsage
}

// story prints one line per thing done. It is safe for concurrent use.
type story struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *story) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// leash says when to end besides on a signal.
type leash struct {
	stdin  bool // when standard input ends
	parent int  // when the parent isn't this process any more; 0: don't look
}

func (l *leash) flags(f *flag.FlagSet) {
	f.BoolVar(&l.stdin, "until-stdin-closes", false, "end when standard input does, as it does when its writer dies")
	f.IntVar(&l.parent, "parent-pid", 0, "end when the parent process isn't this one any more")
}

const parentEvery = 250 * time.Millisecond

// hold gives a context that ends with ctx or with what the leash is tied to.
// The goroutine that reads standard input lasts until that ends.
func (l *leash) hold(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if l.stdin {
		go func() {
			_, _ = io.Copy(io.Discard, in)
			cancel()
		}()
	}
	if l.parent > 0 {
		go func() {
			t := time.NewTicker(parentEvery)
			defer t.Stop()
			for os.Getppid() == l.parent && ctx.Err() == nil {
				select {
				case <-t.C:
				case <-ctx.Done():
				}
			}
			cancel()
		}()
	}
	return ctx, cancel
}
