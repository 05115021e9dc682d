package wasm

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

const (
	warmFor    = 10 * time.Second // how long a sandbox waits for another job of its client, unless Config says otherwise
	warmMost   = 64               // sandboxes that wait
	warmLooks  = time.Second      // how often those whose time is over are looked for
	boxModules = 8                // modules that one sandbox loads
)

// tenant is for whom a sandbox is kept, with the limits that its process was
// started under. One that ran a job of one tenant never runs one of another.
type tenant struct {
	owner        string
	memory, file int64
}

func tenantOf(s executor.Spec) tenant {
	return tenant{owner: s.Owner, memory: s.Limits.Memory, file: s.Limits.Disk}
}

// pool keeps sandboxes: fresh ones, started ahead of need, and for a while warm
// ones, which ran a job to its end and wait for another of the same client.
type pool struct {
	sandbox string
	dir     string // of the boxes
	warmFor time.Duration
	log     *slog.Logger
	wake    chan struct{} // one token asks for a look
	quit    chan struct{}
	wg      sync.WaitGroup // the keeper, and whatever ends sandboxes
	slots   chan struct{}  // taken while a sandbox starts: more at once only hold each other up

	mu     sync.Mutex
	want   int // fresh ones
	fresh  []*link
	warm   []*link       // the longest unused first
	more   chan struct{} // closed and replaced when a sandbox is put back
	closed bool
}

func newPool(sandbox, dir string, want int, warmFor time.Duration, log *slog.Logger) *pool {
	p := &pool{
		sandbox: sandbox, dir: dir, want: want, warmFor: warmFor, log: log, wake: make(chan struct{}, 1), quit: make(chan struct{}),
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)), more: make(chan struct{}),
	}
	p.wg.Add(1)
	go p.keep()
	p.nudge()
	return p
}

func (p *pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// keep starts fresh sandboxes and ends warm ones whose time is over.
func (p *pool) keep() {
	defer p.wg.Done()
	every := time.NewTicker(warmLooks)
	defer every.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-p.wake:
			p.refill()
		case now := <-every.C:
			p.expire(now)
		}
	}
}

func (p *pool) refill() {
	for p.short() {
		p.slots <- struct{}{}
		l, err := p.launch()
		<-p.slots
		if err != nil {
			p.log.Warn("no spare sandbox", "error", err)
			return
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			l.end()
			return
		}
		p.fresh = append(p.fresh, l)
		p.mu.Unlock()
	}
}

func (p *pool) short() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && len(p.fresh) < p.want
}

func (p *pool) expire(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.warm) && now.Sub(p.warm[n].idle) > p.warmFor {
		n++
	}
	old := p.warm[:n:n]
	p.warm = p.warm[n:]
	p.mu.Unlock()
	p.retire(old...)
}

// retire ends sandboxes without waiting for it; close waits.
func (p *pool) retire(old ...*link) {
	for _, l := range old {
		p.wg.Go(l.end)
	}
}

// take gives a warm sandbox of the tenant, at best one that has the module
// loaded; else a fresh one. Where there is neither it starts one, unless before
// its turn has come another job of the tenant ends.
func (p *pool) take(ctx context.Context, t tenant, module string) (*link, error) {
	for {
		l, more := p.pick(t, module)
		if l != nil && l.alive() {
			return l, nil
		}
		if l != nil {
			p.retire(l)
			continue
		}
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
			return p.launch()
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pick gives a sandbox that waits, or none and what is closed when one is put back.
func (p *pool) pick(t tenant, module string) (*link, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, l := range p.warm {
		if _, loaded := l.modules[module]; l.tenant == t && (loaded || best < 0 && len(l.modules) < boxModules) {
			best = i
			if loaded {
				break
			}
		}
	}
	if best >= 0 {
		l := p.warm[best]
		p.warm = append(p.warm[:best], p.warm[best+1:]...)
		return l, nil
	}
	if len(p.fresh) == 0 {
		return nil, p.more
	}
	l := p.fresh[len(p.fresh)-1]
	p.fresh = p.fresh[:len(p.fresh)-1]
	p.nudge()
	return l, nil
}

// put keeps a sandbox that waits for another job.
func (p *pool) put(l *link) {
	l.idle = time.Now()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		l.end()
		return
	}
	defer p.mu.Unlock()
	p.warm = append(p.warm, l)
	close(p.more)
	p.more = make(chan struct{})
	if len(p.warm) > warmMost {
		p.wg.Go(p.warm[0].end)
		p.warm = p.warm[1:]
	}
}

// untouched takes a sandbox back to which nothing was said.
func (p *pool) untouched(l *link) {
	if l.tenant != (tenant{}) {
		p.put(l)
		return
	}
	p.mu.Lock()
	if p.closed || len(p.fresh) >= p.want {
		p.mu.Unlock()
		l.end()
		return
	}
	defer p.mu.Unlock()
	p.fresh = append(p.fresh, l)
}

// close ends the sandboxes that nothing runs in, and waits for them.
func (p *pool) close() {
	close(p.quit)
	p.mu.Lock()
	p.closed = true
	old := slices.Concat(p.fresh, p.warm)
	p.fresh, p.warm = nil, nil
	p.mu.Unlock()
	p.retire(old...)
	p.wg.Wait()
}

// launch starts a sandbox with a box of its own.
func (p *pool) launch() (*link, error) {
	box, err := os.MkdirTemp(p.dir, "")
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{control.BoxRead, control.BoxWrite} {
		if err := os.Mkdir(filepath.Join(box, dir), 0o700); err != nil {
			return nil, err
		}
	}
	l, err := launch(p.sandbox)
	if err != nil {
		_ = os.RemoveAll(box)
		return nil, err
	}
	l.box, l.modules = box, map[string]control.Verdict{}
	if err := l.awaitUp(); err != nil {
		l.end()
		return nil, fmt.Errorf("the sandbox did not start: %w", err)
	}
	return l, nil
}

// alive tells whether a sandbox that waits is still there: it says nothing, so
// there is something to read only when its end of the connection was closed.
func (l *link) alive() bool {
	conn, ok := l.conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor
		n, err := unix.Poll(poll, 0)
		quiet = err == nil && n == 0
	})
	return err == nil && quiet
}
