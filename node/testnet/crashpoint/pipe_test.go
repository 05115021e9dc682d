package crashpoint_test

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// pipe is one direction of a stream: bytes that were sent arrive, also when
// the sender has crashed since.
type pipe struct {
	mu       sync.Mutex
	sent     []byte
	end      error // what comes after what was sent; nil while more may
	gone     error // the reader gets nothing any more
	deadline *time.Timer
	late     bool
	changed  chan struct{}
}

func newPipe() *pipe { return &pipe{changed: make(chan struct{})} }

func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// finish ends the sender's side: io.EOF in order, else an error.
func (p *pipe) finish(how error) {
	p.change(func() {
		if p.end == nil {
			p.end = how
		}
	})
}

// drop ends both sides at once.
func (p *pipe) drop(how error) {
	p.change(func() {
		if p.gone == nil {
			p.gone = how
		}
	})
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.change(func() {
		switch {
		case p.gone != nil:
			err = p.gone
		case p.end != nil:
			err = io.ErrClosedPipe
		default:
			n, p.sent = len(b), append(p.sent, b...)
		}
	})
	return n, err
}

func (p *pipe) read(b []byte) (int, error) {
	for {
		n, wait, err := p.take(b)
		if wait == nil {
			return n, err
		}
		<-wait
	}
}

// take gives what there is, or what to wait for.
func (p *pipe) take(b []byte) (n int, wait <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone != nil:
		return 0, nil, p.gone
	case len(p.sent) > 0:
		n = copy(b, p.sent)
		p.sent = p.sent[n:]
		return n, nil, nil
	case p.end != nil:
		return 0, nil, p.end
	case p.late:
		return 0, nil, os.ErrDeadlineExceeded
	}
	return 0, p.changed, nil
}

func (p *pipe) until(t time.Time) {
	p.change(func() {
		if p.deadline != nil {
			p.deadline.Stop()
		}
		p.deadline, p.late = nil, false
		if !t.IsZero() {
			p.deadline = time.AfterFunc(time.Until(t), func() { p.change(func() { p.late = true }) })
		}
	})
}

func (p *pipe) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deadline != nil {
		p.deadline.Stop()
	}
}

var (
	errReset       = &network.StreamError{}
	errRemoteReset = &network.StreamError{Remote: true}
)
