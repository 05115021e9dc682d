package wasm

import (
	"log/slog"
	"sync"
)

// spares keeps sandboxes started ahead of need. A sandbox runs one execution
// and ends, so none ever serves two owners.
type spares struct {
	sandbox string
	log     *slog.Logger
	ready   chan *link
	wake    chan struct{} // one token asks for a refill
	quit    chan struct{}
	wg      sync.WaitGroup
}

func newSpares(sandbox string, n int, log *slog.Logger) *spares {
	s := &spares{sandbox: sandbox, log: log, ready: make(chan *link, n), wake: make(chan struct{}, 1), quit: make(chan struct{})}
	s.wg.Add(1)
	go s.refill()
	s.wake <- struct{}{}
	return s
}

func (s *spares) refill() {
	defer s.wg.Done()
	for {
		select {
		case <-s.quit:
			return
		case <-s.wake:
		}
		for len(s.ready) < cap(s.ready) {
			l, err := launch(s.sandbox)
			if err != nil {
				s.log.Warn("no spare sandbox", "error", err)
				break
			}
			s.ready <- l
		}
	}
}

// take gives a spare, or starts a sandbox where there is none.
func (s *spares) take() (*link, error) {
	defer func() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}()
	select {
	case l := <-s.ready:
		return l, nil
	default:
		return launch(s.sandbox)
	}
}

// close ends the spares and waits for them.
func (s *spares) close() {
	close(s.quit)
	s.wg.Wait()
	for {
		select {
		case l := <-s.ready:
			_ = l.conn.Close()
			l.reap()
		default:
			return
		}
	}
}
