package crashpoint_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"souk/node/executor"
	"souk/protocol/market"
)

// runs is how long each process runs, unless it is stopped.
const runs = 2500 * time.Millisecond

// stage is the machine's processes. It outlives the providers that use it.
type stage struct {
	dir   string
	mu    sync.Mutex
	all   map[string]*process
	twice []string // started more than once
	begun map[string]bool
}

func newStage(dir string) *stage {
	return &stage{dir: dir, all: map[string]*process{}, begun: map[string]bool{}}
}

func (s *stage) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// powerLoss ends every process; none has a result.
func (s *stage) powerLoss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.all {
		p.exit(executor.Failed)
	}
}

func (s *stage) prepare(spec executor.Spec) *process {
	p := &process{s: s, spec: spec, done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[spec.ID] = p
	return p
}

func (s *stage) found() (all []*process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.all {
		all = append(all, p)
	}
	return all
}

// process runs for a while, says a line a tick, and leaves an output.
type process struct {
	s    *stage
	spec executor.Spec
	done chan struct{}

	mu         sync.Mutex
	start, end time.Time
	result     executor.Result
}

// begins notes that a lease's job starts to run, which must come once alone.
func (s *stage) begins(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun[id] {
		s.twice = append(s.twice, id)
	}
	s.begun[id] = true
}

// again are the leases whose job ran more than once.
func (s *stage) again() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.twice
}

func (p *process) begin() {
	p.s.begins(p.spec.ID)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start = time.Now()
	time.AfterFunc(runs, func() { p.exit(executor.Exited) })
}

func (p *process) exit(cause executor.Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.end.IsZero() {
		return
	}
	if p.end = time.Now(); p.start.IsZero() {
		p.start = p.end
	}
	p.result = executor.Result{Cause: cause, Ran: p.end.Sub(p.start)}
	close(p.done)
}

func (p *process) usage() executor.Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.start.IsZero():
		return executor.Usage{}
	case p.end.IsZero():
		return executor.Usage{Ran: time.Since(p.start), Running: true}
	}
	return executor.Usage{Ran: p.end.Sub(p.start)}
}

func (p *process) res() executor.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result
}

func (p *process) outputs() string {
	dir := filepath.Join(p.s.dir, p.spec.ID)
	_ = os.MkdirAll(dir, 0o700)
	_ = os.WriteFile(filepath.Join(dir, "out.txt"), []byte("done\n"), 0o600)
	return dir
}

func (p *process) logFile() string {
	path := filepath.Join(p.s.dir, p.spec.ID+".log")
	_ = os.WriteFile(path, bytes.Repeat([]byte(line), int(p.usage().Ran/time.Second)), 0o600)
	return path
}

func (p *process) remove() error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	delete(p.s.all, p.spec.ID)
	return os.RemoveAll(filepath.Join(p.s.dir, p.spec.ID))
}

// frailStage is the executor that one life of a provider sees.
type frailStage struct {
	s    *stage
	fate *fate
}

func (s *frailStage) Kind() string { return market.KindWASM }

func (s *frailStage) Check(context.Context) error {
	return s.fate.around("call Check", func() error { return nil })
}

func (s *frailStage) Prepare(_ context.Context, spec executor.Spec) (executor.Execution, error) {
	var p *process
	if err := s.fate.around("call Prepare", func() error { p = s.s.prepare(spec); return nil }); err != nil {
		return nil, err
	}
	return &frailProcess{p, s.fate}, nil
}

func (s *frailStage) Recover(context.Context) (found []executor.Execution, err error) {
	err = s.fate.around("call Recover", func() error {
		for _, p := range s.s.found() {
			found = append(found, &frailProcess{p, s.fate})
		}
		return nil
	})
	return found, err
}

func (s *frailStage) Close(bool) error { return nil }

type frailProcess struct {
	*process
	fate *fate
}

func (p *frailProcess) ID() string            { return p.spec.ID }
func (p *frailProcess) Done() <-chan struct{} { return p.done }

func (p *frailProcess) Start(context.Context) error {
	return p.fate.around("call Start", func() error { p.begin(); return nil })
}

func (p *frailProcess) Stop(context.Context) error {
	return p.fate.around("call Stop", func() error { p.exit(executor.Stopped); return nil })
}

func (p *frailProcess) Remove() error { return p.fate.around("call Remove", p.remove) }

func (p *frailProcess) Usage() (u executor.Usage) {
	_ = p.fate.around("call Usage", func() error { u = p.usage(); return nil })
	return u
}

func (p *frailProcess) Result() (r executor.Result) {
	_ = p.fate.around("call Result", func() error { r = p.res(); return nil })
	return r
}

func (p *frailProcess) OutputDir() (dir string) {
	_ = p.fate.around("call OutputDir", func() error { dir = p.outputs(); return nil })
	return dir
}

func (p *frailProcess) LogFile() (path string) {
	_ = p.fate.around("call LogFile", func() error { path = p.logFile(); return nil })
	return path
}

func (p *frailProcess) Log(ctx context.Context, offset int64) (r io.ReadCloser, err error) {
	err = p.fate.around("call Log", func() error {
		r = &processLog{ctx: ctx, p: p.process, at: int(offset)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// processLog reads a line for each second that the process ran.
type processLog struct {
	ctx context.Context
	p   *process
	at  int
}

const line = "another second\n"

func (l *processLog) Read(b []byte) (int, error) {
	for {
		ran := l.p.usage().Ran
		if said := int(ran/time.Second) * len(line); l.at < said {
			n := copy(b, line[l.at%len(line):])
			l.at += n
			return n, nil
		}
		select {
		case <-l.p.done:
			if int(l.p.usage().Ran/time.Second)*len(line) <= l.at {
				return 0, io.EOF
			}
		case <-time.After(time.Second - ran%time.Second):
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		}
	}
}

func (l *processLog) Close() error { return nil }
