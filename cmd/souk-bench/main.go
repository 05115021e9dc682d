// Command souk-bench measures souk against limits that are measured beside it,
// in the same run on the same machine, so that only their ratios matter:
//
//	scripts/bench [--json | --markdown] [--quick] [--list] [--only NAME]...
//
// A figure whose goal is missed says missed, and one that can't be measured here
// says not run, and why; neither counts as met. It ends with 1 if measuring a
// figure failed or it met no name of --only, and with 0 otherwise, goals missed or not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"souk/internal/fastkey"
	"souk/internal/garbage"
)

// figures are all that can be measured, in the order in which they are.
func figures() []figure {
	return slices.Concat(
		negotiations(), honest(), payments(), logs(), jobs(), processes(), computing(),
		transfers(), blobs(), searches(), challenges(), containers(),
	)
}

func main() {
	garbage.Pace() // as souk does
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		servePeer(os.Args[2:])
		return
	}
	fastkey.Install() // as souk does
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], figures(), os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "souk-bench:", err)
		os.Exit(1)
	}
}

// errUsage is a command line that was already said to be wrong.
var errUsage = errors.New("bad usage")

// run measures what args name.
func run(ctx context.Context, args []string, all []figure, out, progress io.Writer) error {
	flags := flag.NewFlagSet("souk-bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	quick := flags.Bool("quick", false, "measure a tenth of everything, to see that it works; the figures mean little")
	asMarkdown := flags.Bool("markdown", false, "print the table as docs/bench.md has it")
	asJSON := flags.Bool("json", false, "print a JSON object for each figure")
	list := flags.Bool("list", false, "list the figures and measure nothing")
	var only []string
	flags.Func("only", "measure only figures whose `name` begins so (repeatable)", func(name string) error {
		only = append(only, name)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(progress, "souk-bench takes no arguments, and %q is one; --only names a figure\n", flags.Arg(0))
		return errUsage
	}
	chosen := choose(all, only)
	if len(chosen) == 0 {
		return fmt.Errorf("no figure's name begins with %s; --list shows their names", strings.Join(only, " or "))
	}
	if *list {
		for _, f := range chosen {
			fmt.Fprintf(out, "%-22s %s\n", f.name, f.about)
		}
		return nil
	}
	sweep(ctx, progress)
	show := func([]result) error { return nil }
	if *asJSON {
		show = func(results []result) error { return writeJSON(out, results) }
	}
	results, err := measure(ctx, chosen, &session{Writer: progress, quick: *quick}, show)
	switch {
	case *asMarkdown:
		writeMarkdown(out, results)
	case !*asJSON:
		writeTable(out, results)
	}
	return err
}

// choose gives the figures that the names mean: the one of that name, else those
// whose names begin so, or the one that also gives the result of that name.
func choose(all []figure, only []string) []figure {
	if len(only) == 0 {
		return all
	}
	var chosen []figure
	for _, f := range all {
		if slices.ContainsFunc(only, func(name string) bool { return f.isMeant(name, all) }) {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

func (f figure) isMeant(name string, all []figure) bool {
	if slices.ContainsFunc(all, func(other figure) bool { return other.name == name }) {
		return f.name == name
	}
	return strings.HasPrefix(f.name, name) || strings.HasPrefix(name, f.name+"-") || f.also == name
}
