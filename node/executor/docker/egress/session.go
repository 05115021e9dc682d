package egress

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"souk/node/executor/docker/egress/frame"
)

// Traffic is what went through one entry of an allow-list.
type Traffic struct {
	Target      Target
	Connections uint64 // that were made
	Refused     uint64 // that were asked for and not made
	Sent        uint64 // bytes, from the job
	Received    uint64 // bytes, to the job
}

// counter is a Traffic while it grows.
type counter struct{ connections, refused, sent, received atomic.Uint64 }

// session serves one execution's socket.
type session struct {
	gate     *Gate
	id       string
	targets  []Target
	counters []counter // one for each target
	log      *slog.Logger

	listener *net.UnixListener
	slots    chan struct{} // one for each open connection
	opening  *rate.Limiter // new connections
	passing  *rate.Limiter // bytes; nil: no limit
	passed   atomic.Int64  // bytes, both ways

	life context.Context // ends with close, and each connection with it
	stop context.CancelFunc
	work sync.WaitGroup // accepting, and each connection
}

func (g *Gate) serve(id string, targets []Target, l *net.UnixListener) *session {
	s := g.newSession(id, targets, l)
	s.work.Go(s.accept)
	return s
}

func (g *Gate) newSession(id string, targets []Target, l *net.UnixListener) *session {
	limits := g.cfg.Limits
	s := &session{
		gate: g, id: id, targets: targets, counters: make([]counter, len(targets)), log: g.cfg.Log.With("execution", id),
		listener: l, slots: make(chan struct{}, limits.Connections),
		opening: rate.NewLimiter(rate.Limit(limits.PerSecond), burst*limits.PerSecond),
	}
	if limits.BytesPerSecond > 0 {
		s.passing = rate.NewLimiter(rate.Limit(limits.BytesPerSecond), int(max(limits.BytesPerSecond, chunk)))
	}
	s.life, s.stop = context.WithCancel(context.Background())
	return s
}

// close ends every connection and waits until nothing of the session runs.
func (s *session) close() {
	s.stop()
	s.listener.Close()
	s.work.Wait()
	for _, t := range s.counts() {
		s.log.Info("egress of an execution", "to", t.Target.String(), "connections", t.Connections, "refused", t.Refused, "sent", t.Sent, "received", t.Received)
	}
}

func (s *session) counts() []Traffic {
	all := make([]Traffic, len(s.targets))
	for i, t := range s.targets {
		c := &s.counters[i]
		all[i] = Traffic{t, c.connections.Load(), c.refused.Load(), c.sent.Load(), c.received.Load()}
	}
	return all
}

// accept takes connections as fast as the rate allows; a job that wants more
// waits in the socket's queue. It ends with the session.
func (s *session) accept() {
	for s.opening.Wait(s.life) == nil {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			if s.life.Err() == nil {
				s.log.Warn("an egress connection can't be accepted", "err", err)
				s.pause()
			}
			continue
		}
		select {
		case s.slots <- struct{}{}:
			s.work.Go(func() {
				defer func() { <-s.slots }()
				s.handle(conn)
			})
		default:
			s.refuse(conn, frame.Busy)
			conn.Close()
		}
	}
}

// pause waits a moment for whatever this process ran out of.
func (s *session) pause() {
	select {
	case <-time.After(time.Second):
	case <-s.life.Done():
	}
}

// refuse tells the job why there is no connection, if it listens.
func (s *session) refuse(conn *net.UnixConn, status frame.Status) {
	conn.SetWriteDeadline(time.Now().Add(s.gate.header)) //nolint:errcheck // the write fails too
	frame.WriteStatus(conn, status)                      //nolint:errcheck // nobody else to tell
}

// handle serves one connection of the job, from its header to its end.
func (s *session) handle(job *net.UnixConn) {
	defer job.Close()
	defer context.AfterFunc(s.life, func() { job.Close() })()
	entry, err := s.hear(job)
	if err != nil {
		s.refuse(job, frame.BadHeader)
		return
	}
	remote, err := s.connect(entry)
	if err != nil {
		var r *refusal
		errors.As(err, &r)
		s.counters[entry].refused.Add(1)
		s.log.Debug("an egress connection was refused", "to", s.targets[entry].String(), "why", err)
		if s.life.Err() == nil { // else the next node may find better
			s.refuse(job, r.status)
		}
		return
	}
	defer remote.Close()
	defer context.AfterFunc(s.life, func() { remote.Close() })()
	s.counters[entry].connections.Add(1)
	if frame.WriteStatus(job, frame.Connected) == nil {
		newPassage(s, &s.counters[entry], job, remote).run()
	}
}

// hear reads where the job wants to connect to.
func (s *session) hear(job net.Conn) (entry int, err error) {
	job.SetReadDeadline(time.Now().Add(s.gate.header)) //nolint:errcheck // the read fails too
	return frame.ReadHeader(job, len(s.targets))
}

// connect is Gate.connect for an execution that has bytes left.
func (s *session) connect(entry int) (net.Conn, error) {
	if s.spent() {
		return nil, &refusal{frame.Spent, errSpent}
	}
	return s.gate.connect(s.life, s.targets[entry])
}
