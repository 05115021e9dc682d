// Command souk-corpus keeps what fuzzing found, for scripts/fuzz --keep: of the
// inputs that Go has in its cache for a fuzz target it copies those into the
// package's testdata/fuzz that reach code which the target's seeds and what is
// kept already don't, as few and as small ones as do, under a limit. It never
// takes anything away.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "souk-corpus:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("souk-corpus", flag.ContinueOnError)
	found := flags.String("found", "", "the folder of what fuzzing found (default: that of Go's cache)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < 2 {
		return errors.New("usage: souk-corpus [-found DIR] PACKAGE TARGET, and more targets of it")
	}
	if *found == "" {
		cache, err := command(ctx, ".", "go", "env", "GOCACHE")
		if err != nil {
			return err
		}
		*found = filepath.Join(strings.TrimSpace(cache), "fuzz")
	}
	into, err := os.MkdirTemp("", "souk-corpus")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(into) }()
	p, err := build(ctx, flags.Arg(0), *found, into)
	if err != nil {
		return err
	}
	for _, target := range flags.Args()[1:] {
		kept, added, err := p.keep(ctx, target)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%-45s %d kept, %d of them new\n", flags.Arg(0)+" "+target, kept, added); err != nil {
			return err
		}
	}
	return nil
}
