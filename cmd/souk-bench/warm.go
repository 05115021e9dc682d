package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node"
	"souk/node/executor/wasm"
)

// starter is an executor whose sandboxes wait in one way, and how long jobs took in it.
type starter struct {
	*workshop
	owner  func(job int) string
	module cid.Cid
	took   []time.Duration
}

func stranger(job int) string { return fmt.Sprint("client-", job) }
func sameClient(int) string   { return "client" }

// warmSandboxes has the executor alone run a module that it knows, by turns in a
// sandbox that is started for it, in a fresh one that waited, and in the one in
// which the client's last job ran.
func warmSandboxes(ctx context.Context, s *session) (_ []result, err error) {
	var none, spare, again starter
	for _, x := range []struct {
		to    *starter
		cfg   wasm.Config
		owner func(int) string
	}{
		{&none, wasm.Config{WarmFor: time.Nanosecond}, stranger},
		{&spare, wasm.Config{WarmFor: time.Nanosecond, Spares: node.DefaultSpares}, stranger},
		{&again, wasm.Config{WarmFor: time.Minute}, sameClient},
	} {
		w, close, failed := newWorkshopWith(x.cfg)
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, close()) }()
		*x.to = starter{workshop: w, owner: x.owner}
		if x.to.module, err = (modules{w.dir}).add(trivialModule()); err != nil {
			return nil, err
		}
	}
	for job := range 1 + s.times(20) {
		for _, x := range []*starter{&none, &spare, &again} {
			if err := x.start(ctx, job); err != nil {
				return nil, err
			}
		}
	}
	limit := millis(median(none.took))
	results := []result{
		against("warm-spare", millis(median(spare.took)), "ms", limit, "ms with none", goal{}),
		against("warm-again", millis(median(again.took)), "ms", limit, "ms with none", goal{}),
	}
	results[0].Note = fmt.Sprintf("medians of %d jobs by turns, each of another client; the executor alone, the module compiled: workspace, start, end and removal", len(spare.took))
	results[1].Note = "the same of one client's jobs, each in the sandbox of the one before"
	memory, err := waiting(ctx)
	if err != nil {
		return nil, err
	}
	return append(results, memory), nil
}

// start runs a job. The first compiles the module and isn't counted.
func (x *starter) start(ctx context.Context, job int) error {
	if err := pause(ctx, atRest); err != nil { // the spare that was used is replaced meanwhile
		return err
	}
	began := time.Now()
	if _, err := x.succeedFor(ctx, x.owner(job), x.module); err != nil {
		return err
	}
	if job > 0 {
		x.took = append(x.took, time.Since(began))
	}
	return nil
}

// waiting is the memory of the sandboxes that wait in this program's executors.
func waiting(ctx context.Context) (r result, err error) {
	if err := pause(ctx, 3*time.Second); err != nil { // one that is over is ended within a second
		return r, err
	}
	sandbox, err := beside("souk-sandbox")
	if err != nil {
		return r, err
	}
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return r, err
	}
	processes, own, resident := 0, 0.0, 0.0
	for _, exe := range exes {
		if to, err := os.Readlink(exe); err != nil || to != sandbox {
			continue // it ended, it is another's
		}
		sizes, err := memoryOf(filepath.Join(filepath.Dir(exe), "smaps_rollup"))
		if err != nil {
			return r, err
		}
		processes++
		own += sizes["Private_Clean"] + sizes["Private_Dirty"]
		resident += sizes["Rss"]
	}
	r = against("warm-memory", own, "MB of their own", resident, "MB resident", goal{})
	r.Note = fmt.Sprintf("all that wait together: %d processes of %d spares, a spare compiler and one client's sandbox; the rest of what is resident is the program's file, which they share", processes, node.DefaultSpares)
	return r, nil
}

// memoryOf reads the sizes of a process's memory, in MB.
func memoryOf(path string) (map[string]float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &notRun{"this kernel doesn't tell the memory of a process's own: " + err.Error()}
	}
	sizes := map[string]float64{}
	for line := range bytes.Lines(text) {
		name, rest, _ := strings.Cut(string(line), ":")
		if kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64); err == nil {
			sizes[name] = kib * 1024 / 1e6
		}
	}
	return sizes, nil
}
