package egress

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"souk/node/executor/docker/egress/frame"
)

// chunk is how many bytes are read at once.
const chunk = 32 << 10

var errSpent = errors.New("the execution's bytes are used up")

func (s *session) spent() bool {
	limit := s.gate.cfg.Limits.Bytes
	return limit > 0 && s.passed.Load() >= limit
}

// take waits until n bytes may pass. It is errSpent where they are more than
// what is left.
func (s *session) take(n int) error {
	total := s.passed.Add(int64(n))
	if limit := s.gate.cfg.Limits.Bytes; limit > 0 && total > limit {
		return errSpent
	}
	if s.passing == nil {
		return nil
	}
	return s.passing.WaitN(s.life, n)
}

// A passage passes bytes between a job and the place it connected to.
type passage struct {
	session *session
	job     *net.UnixConn
	remote  net.Conn
	count   *counter
	idle    time.Duration
	said    atomic.Bool // the place said all that it has to say
}

func newPassage(s *session, count *counter, job *net.UnixConn, remote net.Conn) *passage {
	return &passage{session: s, job: job, remote: remote, count: count, idle: s.gate.cfg.Limits.Idle}
}

// run returns when both sides said all, or one broke off, was idle for too
// long or used the last of the bytes. Each side sees how the other ended.
func (p *passage) run() {
	var both sync.WaitGroup
	both.Go(func() {
		err := p.pass(p.remote, p.job, &p.count.sent)
		// In this order: once all is said, closing for writing looks like hanging up.
		if hung := frame.Hung(p.job); err == nil && hung && !p.said.Load() {
			err = net.ErrClosed // the job's end is gone, and with it who would read the answer
		}
		p.finish(p.remote, err)
	})
	both.Go(func() {
		err := p.pass(p.job, p.remote, &p.count.received)
		p.said.Store(err == nil)
		p.finish(p.job, err)
	})
	both.Wait()
}

// finish tells to that the other side has said all, or breaks both off.
func (p *passage) finish(to net.Conn, err error) {
	if err == nil {
		if half, ok := to.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			return
		}
	}
	if tcp, ok := p.remote.(*net.TCPConn); ok && err != nil {
		tcp.SetLinger(0) //nolint:errcheck // it is closed either way
	}
	p.remote.Close()
	p.job.Close()
}

// pass copies until from has no more, which is nil.
func (p *passage) pass(to, from net.Conn, count *atomic.Uint64) error {
	buffer := make([]byte, chunk)
	for {
		if err := p.touch(); err != nil {
			return err
		}
		n, err := from.Read(buffer)
		if n > 0 {
			if err := p.write(to, buffer[:n]); err != nil {
				return err
			}
			count.Add(uint64(n))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *passage) write(to net.Conn, b []byte) error {
	if err := p.session.take(len(b)); err != nil {
		return err
	}
	if err := p.touch(); err != nil { // waiting for the rate is not being idle
		return err
	}
	_, err := to.Write(b)
	return err
}

// touch grants both sides another idle time.
func (p *passage) touch() error {
	until := time.Now().Add(p.idle)
	return errors.Join(p.job.SetDeadline(until), p.remote.SetDeadline(until))
}
