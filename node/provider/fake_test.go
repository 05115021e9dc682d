package provider_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"souk/node/executor"
)

// stage is an executor whose processes do nothing but what the test says. It
// outlives the providers that use it, as real processes do.
type stage struct {
	dir  string
	kind string
	mu   sync.Mutex
	all  map[string]*act
	sick error // what Check and Recover say
}

func newStage(t *testing.T) *stage {
	return &stage{dir: t.TempDir(), kind: "wasm", all: map[string]*act{}}
}

func (s *stage) Kind() string     { return s.kind }
func (s *stage) Close(bool) error { return nil }

func (s *stage) Check(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sick
}

// fall makes the executor unable to run jobs, or able again with nil.
func (s *stage) fall(sick error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sick = sick
}

func (s *stage) Prepare(ctx context.Context, spec executor.Spec) (executor.Execution, error) {
	if len(spec.Args) > 0 && spec.Args[0] == "bad" {
		return nil, &executor.JobError{Reason: "the module has no _start"}
	}
	if len(spec.Args) > 0 && spec.Args[0] == "broken" {
		why := errors.New("open /home/me/.docker/config.json: permission denied")
		return nil, &executor.ProviderError{Reason: "the registry can't be used", Err: why}
	}
	if len(spec.Args) > 0 && spec.Args[0] == "gone" {
		return nil, &executor.ImageError{ProviderError: executor.ProviderError{Reason: "the registry can't be reached", Err: io.EOF}}
	}
	if len(spec.Args) > 0 && spec.Args[0] == "slow" {
		spec.Progress("pulling 120 of 800 MiB")
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a := &act{s: s, spec: spec, done: make(chan struct{}), more: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[spec.ID] = a
	return a, nil
}

func (s *stage) Recover(context.Context) ([]executor.Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sick != nil {
		return nil, s.sick
	}
	var found []executor.Execution
	for _, a := range s.all {
		found = append(found, a)
	}
	return found, nil
}

func (s *stage) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.all)
}

func (s *stage) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// only gives the one execution there is.
func (s *stage) only() *act {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		return a
	}
	return nil
}

type act struct {
	s    *stage
	spec executor.Spec
	done chan struct{}

	mu     sync.Mutex
	start  time.Time
	end    time.Time
	result executor.Result
	log    []byte
	more   chan struct{}
	file   string // its log, where that is a file; set before it ends
}

func (a *act) ID() string { return a.spec.ID }

func (a *act) began() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.start.IsZero()
}

func (a *act) Start(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.start = time.Now()
	return nil
}

func (a *act) say(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, text...)
	close(a.more)
	a.more = make(chan struct{})
}

// exit ends the process, if it hasn't ended.
func (a *act) exit(cause executor.Cause, code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.end.IsZero() {
		return
	}
	a.end = time.Now()
	a.result = executor.Result{Cause: cause, ExitCode: code, Ran: a.end.Sub(a.start)}
	close(a.done)
}

func (a *act) Usage() executor.Usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.start.IsZero() {
		return executor.Usage{}
	}
	if a.end.IsZero() {
		return executor.Usage{Ran: time.Since(a.start), Running: true, Log: int64(len(a.log))}
	}
	return executor.Usage{Ran: a.end.Sub(a.start), Log: int64(len(a.log))}
}

func (a *act) Stop(context.Context) error { a.exit(executor.Stopped, 0); return nil }
func (a *act) Done() <-chan struct{}      { return a.done }

func (a *act) Result() executor.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.result
}

func (a *act) OutputDir() string {
	if a.spec.Outputs == "" {
		return ""
	}
	dir := filepath.Join(a.s.dir, a.spec.ID)
	_ = os.MkdirAll(dir, 0o700)
	_ = os.WriteFile(filepath.Join(dir, "out.txt"), []byte("done\n"), 0o600)
	return dir
}

func (a *act) LogFile() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file
}

// logTo makes its log a file.
func (a *act) logTo(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.file = path
}

func (a *act) Remove() error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	delete(a.s.all, a.spec.ID)
	return os.RemoveAll(filepath.Join(a.s.dir, a.spec.ID))
}

func (a *act) Log(ctx context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(&follow{ctx: ctx, a: a, at: int(offset)}), nil
}

type follow struct {
	ctx context.Context
	a   *act
	at  int
}

func (f *follow) Read(p []byte) (int, error) {
	for {
		f.a.mu.Lock()
		rest, more := f.a.log[f.at:], f.a.more
		f.a.mu.Unlock()
		if len(rest) > 0 {
			n, _ := bytes.NewReader(rest).Read(p)
			f.at += n
			return n, nil
		}
		select {
		case <-f.a.done:
			return 0, io.EOF
		case <-more:
		case <-f.ctx.Done():
			return 0, f.ctx.Err()
		}
	}
}
