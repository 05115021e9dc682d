package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/executor"
)

// kernels are what the guest computes, and how much of it takes about a second.
var kernels = []struct {
	task, unit string
	n          int
}{
	{"sha256", "MiB/s", 120},
	{"matrix", "products/s", 200},
	{"xorshift", "million/s", 400},
}

// computing is how fast jobs compute under their limits, and how fast those end them.
func computing() []figure {
	var all []figure
	for _, k := range kernels {
		name := "cpu-" + k.task
		all = append(all, figure{
			name: name, about: k.task + " in a WASM job with an enforced time limit; against plain wazero without any; ≥ 90 %",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return compute(ctx, s, name, k.task, s.times(k.n), k.unit)
			},
		})
	}
	return append(all, figure{
		name:  "cpu-kill",
		about: "an endless WASM job, from its time limit to its end; ≤ 100 ms",
		run:   kill,
	})
}

// guestModule is the bench's own guest, in a workshop.
func guestModule(w *workshop) (c cid.Cid, path string, err error) {
	if path, err = beside("souk-bench-guest.wasm"); err != nil {
		return c, "", err
	}
	module, err := os.ReadFile(path)
	if err != nil {
		return c, "", err
	}
	c, err = modules{w.dir}.add(module)
	return c, path, err
}

func compute(ctx context.Context, s *session, name, task string, n int, unit string) (_ []result, err error) {
	w, close, err := newWorkshop()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, close()) }()
	c, path, err := guestModule(w)
	if err != nil {
		return nil, err
	}
	var ours, plain []time.Duration
	for i := range 1 + s.times(7) {
		r, err := w.succeed(ctx, c, task, strconv.Itoa(n))
		if err != nil {
			return nil, err
		}
		bare, err := runBareFile(ctx, path, task, strconv.Itoa(n))
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first compiles the module
			ours, plain = append(ours, r.Ran), append(plain, bare.Ran)
		}
	}
	r := against(name, float64(n)/median(ours).Seconds(), unit, float64(n)/median(plain).Seconds(), unit, goal{least: 0.9})
	r.Note = fmt.Sprintf("medians of %d by turns; the limit is kept by killing the process, which costs nothing while it runs", len(ours))
	return []result{r}, nil
}

func kill(ctx context.Context, s *session) (_ []result, err error) {
	w, close, err := newWorkshop()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, close()) }()
	c, _, err := guestModule(w)
	if err != nil {
		return nil, err
	}
	const limit = time.Second
	var late []time.Duration
	for range 1 + s.times(7) {
		began := time.Now()
		r, err := w.run(ctx, c, limit, "spin", "0")
		if err != nil {
			return nil, err
		}
		if r.Cause != executor.LimitTime {
			return nil, fmt.Errorf("it ended with %s after %s", r.Cause, time.Since(began))
		}
		late = append(late, r.Ran-limit)
	}
	r := against("cpu-kill", millis(percentile(late, 1)), "ms late", 100, "ms allowed", goal{most: 1})
	r.Note = fmt.Sprintf("the slowest of %d, median %.3g ms, after a limit of %s", len(late), millis(median(late)), limit)
	return []result{r}, nil
}
