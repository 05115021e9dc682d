//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"souk/node/executor/wasm/control"
)

// A guest's process can be shut in once only, and serves several executions of
// one client. So it is shut in to a box: what an execution may see is moved in
// from its workspace when it is prepared, and out again when it ended. From then
// on the process can't open it any more.

// moveIn gives the guest the execution's files.
func (s *supervisor) moveIn() error {
	if err := os.Rename(control.RootDir, filepath.Join(s.spec.Box, control.BoxRoot)); err != nil || s.spec.Outputs == "" {
		return err
	}
	return os.Rename(control.OutDir, filepath.Join(s.spec.Box, control.BoxOut))
}

// moveOut takes them back; there may be none where moving in failed.
func (s *supervisor) moveOut() error {
	err := move(filepath.Join(s.spec.Box, control.BoxRoot), filepath.Join(s.dir, control.RootDir))
	if s.spec.Outputs != "" {
		err = errors.Join(err, move(filepath.Join(s.spec.Box, control.BoxOut), filepath.Join(s.dir, control.OutDir)))
	}
	return err
}

func move(from, to string) error {
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		if _, stays := os.Lstat(to); stays == nil {
			return nil
		}
	}
	return err
}

// A guest's process runs this many executions at most, and what its heap holds
// stays small.
const maxRuns = 500

// release makes the sandbox ready for another execution of its client, if this
// one ended by itself, its log was read to the end, and its process is as it was
// before. Where it is not, the process is killed.
func (s *supervisor) release() {
	if s.end == nil || s.report.Cause == "" {
		return
	}
	if !s.report.Again || s.home == nil || s.runs >= maxRuns {
		if s.report.Again {
			s.guest.kill()
		}
		return
	}
	seen, stray := s.guest.progress()
	if seen < s.report.Wrote && !stray {
		return // until the rest was read
	}
	if stray || seen != s.report.Wrote || s.guest.changed() {
		s.guest.kill()
		return
	}
	s.rest()
}

// rest ends the execution and keeps the process.
func (s *supervisor) rest() {
	s.sample()
	if err := s.settle(); err != nil || !empty(filepath.Join(s.spec.Box, control.BoxWrite)) {
		s.guest.kill()
		return
	}
	s.status = control.Status{
		State: control.Ended, Started: s.status.Started, CPU: s.end.CPU, Memory: s.end.Memory, Log: s.end.Log, Result: s.end,
	}
	s.tell()
	for c := range s.conns {
		if c != s.home {
			c.net.Close()
		}
	}
	s.execution = execution{status: control.Status{State: control.Spare}}
}

func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// files are those that the process holds open, by their paths. What it needs for
// itself are pipes, its poller, and a few that its runtime looks into.
func (p *process) files() (paths []string, err error) {
	dir := p.proc + "fd"
	open, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, fd := range open {
		to, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(to, "/") {
			paths = append(paths, to)
		}
	}
	return paths, nil
}

// changed tells whether the process holds a file open that it didn't before it
// ran any guest.
func (p *process) changed() bool {
	now, err := p.files()
	return err != nil || slices.ContainsFunc(now, func(path string) bool { return !slices.Contains(p.own, path) })
}
