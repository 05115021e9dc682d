package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"souk/node/config"
	"souk/node/control"
	"souk/node/identity"
)

// processes are what souk's own processes cost as such.
func processes() []figure {
	return []figure{
		{
			name:  "memory",
			about: "a provider's memory and files, idle and after 2,000 jobs; against a bare libp2p process with a DHT; ≤ 2.2, ≤ 50 MB more, files as before",
			also:  "files-jobs",
			run:   memory,
		},
		{
			name:  "run-cold",
			about: "souk run as a fresh process with a fresh background node, to its exit; against a bare libp2p process that connects and asks as often; ≤ 2",
			run:   runCold,
		},
	}
}

// startBare starts a process of libp2p alone that does nothing but listen.
func startBare(ctx context.Context) (*other, error) {
	program, err := beside("souk-bench-bare")
	if err != nil {
		return nil, err
	}
	return startOther(ctx, program, "idle")
}

// footprint is what a process takes of the machine.
type footprint struct {
	resident, anonymous float64 // MB
	peak                float64 // MB that were ever resident
	files               int     // open ones, without tables
	tables              int     // of the books, which are more the longer these are
}

// footprintOf is the smallest of some looks at a process, a second apart: what
// garbage it has at one moment is chance.
func footprintOf(ctx context.Context, pid, looks int) (least footprint, err error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for i := range looks {
		now, err := look(pid)
		if err != nil {
			return least, err
		}
		if i == 0 || now.resident < least.resident {
			least.resident, least.anonymous = now.resident, now.anonymous
		}
		if i == 0 || now.files < least.files {
			least.files, least.tables = now.files, now.tables
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return least, ctx.Err()
		}
	}
	return least, nil
}

func look(pid int) (f footprint, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return f, &notRun{"there is no /proc to read memory from"}
	}
	for line := range bytes.Lines(status) {
		name, rest, _ := strings.Cut(string(line), ":")
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			f.resident = kib * 1024 / 1e6
		case name == "VmHWM":
			f.peak = kib * 1024 / 1e6
		case name == "RssAnon":
			f.anonymous = kib * 1024 / 1e6
		}
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	for _, fd := range files {
		// One that was closed meanwhile counts as it did when it was listed.
		if to, _ := os.Readlink(filepath.Join(proc, "fd", fd.Name())); strings.HasSuffix(to, ".sst") {
			f.tables++
		} else {
			f.files++
		}
	}
	return f, err
}

const (
	settle   = 10 // looks at a process that has come to rest
	mostJobs = 2000
)

func memory(ctx context.Context, s *session) (_ []result, err error) {
	bare, err := startBare(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	r, err := newRig(ctx, inFlight)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	limit, err := footprintOf(ctx, bare.cmd.Process.Pid, settle)
	if err != nil {
		return nil, err
	}
	idle, err := footprintOf(ctx, r.provider.PID, settle)
	if err != nil {
		return nil, err
	}
	count, err := manyJobs(ctx, r, s.times(mostJobs))
	if err != nil {
		return nil, err
	}
	after, err := footprintOf(ctx, r.provider.PID, 3*settle)
	if err != nil {
		return nil, err
	}
	results := []result{
		against("memory-idle", idle.resident, "MB", limit.resident, "MB of a bare process", goal{most: 2.2}),
		against("memory-jobs", max(after.resident-idle.resident, 0.1), "MB more", 50, "MB allowed", goal{most: 1}),
		against("files-jobs", float64(after.files), "open files", float64(idle.files), "before", goal{most: 1}),
	}
	results[0].Note = fmt.Sprintf("the provider's main process; anonymous %.3g MB, of the bare one %.3g MB", idle.anonymous, limit.anonymous)
	results[2].Note = fmt.Sprintf("and %d tables of the books, %d before", after.tables, idle.tables)
	results[1].Note = fmt.Sprintf("after %s of 64 clients; resident %.4g MB, anonymous %.3g MB", count, after.resident, after.anonymous)
	return results, nil
}

// manyJobs has a crowd run n jobs, and lets it go.
func manyJobs(ctx context.Context, r *rig, n int) (count tally, err error) {
	module, err := writeModule(r.dir, "noop", trivialModule())
	if err != nil {
		return count, err
	}
	c, err := newCrowd(ctx, r, inFlight)
	if err != nil {
		return count, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	count = c.work(ctx, n, module, 3*time.Minute)
	return count, ctx.Err()
}

// The questions of a job: to the bootstrap one of who provides and one of where
// that is; to the provider offer, quote, the channel's status, accept, attach,
// the module, its start and its end.
const (
	coldTargets = 2
	coldAsks    = 5 // of each target
)

func runCold(ctx context.Context, s *session) (_ []result, err error) {
	program, err := beside("souk-bench-bare")
	if err != nil {
		return nil, err
	}
	var targets []string
	for range coldTargets {
		bare, err := startBare(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, bare.close()) }()
		targets = append(targets, fmt.Sprintf("%s/p2p/%s", bare.Addrs[0], bare.ID))
	}
	r, err := newRig(ctx, 4)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	job, err := r.jobFile()
	if err != nil {
		return nil, err
	}
	var ours, bare []time.Duration
	for i := range 1 + s.times(20) {
		took, err := r.coldRun(ctx, filepath.Join(r.dir, fmt.Sprint("cold-", i)), job)
		if err != nil {
			return nil, err
		}
		theirs, err := timed(ctx, program, append([]string{"ask", strconv.Itoa(coldAsks)}, targets...)...)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first brings the programs into memory
			ours, bare = append(ours, took), append(bare, theirs)
		}
	}
	out := against("run-cold", millis(median(ours)), "ms", millis(median(bare)), "ms of a bare process", goal{most: 2})
	out.Note = fmt.Sprintf("medians of %d by turns; souk starts a background node first; the bare process connects to %d others and asks each %d times", len(ours), coldTargets, coldAsks)
	return []result{out}, nil
}

// jobFile writes a no-op job as users do.
func (r *rig) jobFile() (string, error) {
	module, err := writeModule(r.dir, "noop", trivialModule())
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.dir, "job.yaml")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	return path, errors.Join(specFor(module, 8).Write(f), f.Close())
}

// coldRun runs a job from a data directory where no node runs, and ends the
// node that it started.
func (r *rig) coldRun(ctx context.Context, dir, job string) (time.Duration, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	if _, err := identity.Create(filepath.Join(dir, identity.FileName), ""); err != nil {
		return 0, err
	}
	text := fmt.Sprintf("network: %s\nloopback: true\nmdns: false\nlisten: [%s]\nbootstrap: [%s]\n", r.market.Network, onTCP, r.bootstrap())
	if err := os.WriteFile(config.File(dir), []byte(text), 0o600); err != nil {
		return 0, err
	}
	took, err := timed(ctx, r.souk, "--data-dir", dir, "run", "--yes", job)
	return took, errors.Join(err, control.NewClient(dir).Shutdown(ctx))
}

// timed runs a program to its end.
func timed(ctx context.Context, program string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // one of those that scripts/bench built
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(program), err, bytes.TrimSpace(out))
	}
	return took, err
}
