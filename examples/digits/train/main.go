// Command train teaches a small neural network to read handwritten digits.
//
// It is the job of souk's demo, built as WASM (GOOS=wasip1) and run by a provider, and it runs natively
// just as well. It reads one data file, prints how the training goes, and writes weights.bin, metrics.json
// and confusion.png.
//
// Promise: the same data, flags and SEED give the same bytes, under WASM on every machine. It looks at no
// clock, starts no goroutine and opens nothing but the data file and the output folder.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
)

// Bounds of what the flags take; they keep a typing error from eating a lease.
const (
	maxEpochs = 1000
	maxRate   = 10
	maxHidden = 1024
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// settings is everything that decides the result, besides the data.
type settings struct {
	epochs int
	data   string // path of digits.bin
	out    string // folder for what is written; made if missing
	rate   float64
	hidden int // hidden units, a multiple of lane
	seed   uint64
}

func main() {
	os.Exit(command(os.Args[1:], os.Getenv("SEED"), os.Stdout, os.Stderr))
}

// command is main without the process: it returns the exit code.
func command(args []string, seed string, stdout, stderr io.Writer) int {
	s, err := parse(args, seed)
	if errors.Is(err, flag.ErrHelp) {
		usage(stdout)
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "train: %v\n", err)
		return exitUsage
	}
	if err := run(s, stdout); err != nil {
		_, _ = fmt.Fprintf(stderr, "train: %v\n", err)
		return exitFailed
	}
	return 0
}

func flagSet(s *settings) *flag.FlagSet {
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&s.epochs, "epochs", 5, "how often to go through the training digits")
	fs.StringVar(&s.data, "data", "/in/digits.bin", "the digits")
	fs.StringVar(&s.out, "out", "/out", "the folder to write to")
	fs.Float64Var(&s.rate, "rate", 0.1, "the learning rate at the start; it falls to 0 by the end")
	fs.IntVar(&s.hidden, "hidden", 384, "hidden units, a multiple of 8")
	return fs
}

func usage(w io.Writer) {
	_, _ = fmt.Fprintln(w, "train teaches a small neural network to read handwritten digits. Its flags:")
	fs := flagSet(&settings{})
	fs.SetOutput(w)
	fs.PrintDefaults()
	_, _ = fmt.Fprintln(w, "The environment variable SEED (a whole number, 1 if unset) fixes the random choices.")
}

func parse(args []string, seed string) (settings, error) {
	s := settings{seed: 1}
	fs := flagSet(&s)
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if fs.NArg() > 0 {
		return s, fmt.Errorf("%q is no flag; there are --epochs, --data, --out, --rate and --hidden", fs.Arg(0))
	}
	if seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return s, fmt.Errorf("SEED is %q; it must be a whole number from 0 to 2^64-1", seed)
		}
		s.seed = n
	}
	return s, s.check()
}

func (s settings) check() error {
	switch {
	case s.epochs < 1 || s.epochs > maxEpochs:
		return fmt.Errorf("--epochs is %d; it must be from 1 to %d", s.epochs, maxEpochs)
	case !(s.rate > 0 && s.rate <= maxRate): // also refuses NaN
		return fmt.Errorf("--rate is %v; it must be above 0 and at most %d", s.rate, maxRate)
	case s.hidden < lane || s.hidden > maxHidden || s.hidden%lane != 0:
		return fmt.Errorf("--hidden is %d; it must be a multiple of %d from %d to %d", s.hidden, lane, lane, maxHidden)
	case s.data == "":
		return errors.New("--data is empty; it must name the file with the digits")
	case s.out == "":
		return errors.New("--out is empty; it must name the folder to write to")
	}
	return nil
}
