package wire

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rawStream is a libp2p stream over an in-memory pipe, whose deadlines keep
// to synctest's clock. What it doesn't need to have is a nil pointer.
type rawStream struct {
	network.Stream
	pipe  net.Conn
	conn  rawConn
	scope *rawScope

	mu    sync.Mutex
	reset bool
	code  network.StreamErrorCode // that it was reset with
}

type rawConn struct {
	network.Conn
	remote  peer.ID
	limited bool
}

func (c rawConn) RemotePeer() peer.ID { return c.remote }
func (c rawConn) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Limited: c.limited}}
}

// rawScope counts reserved bytes and refuses more than limit of them.
type rawScope struct {
	network.StreamScope
	mu         sync.Mutex
	limit      int
	held, most int
	noSlot     bool
}

var errNoRoom = errors.New("no room")

func (s *rawScope) ReserveMemory(n int, _ uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held+n > s.limit {
		return errNoRoom
	}
	s.held += n
	s.most = max(s.most, s.held)
	return nil
}

func (s *rawScope) ReleaseMemory(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= n
}

func (s *rawScope) SetService(string) error {
	if s.noSlot {
		return errNoRoom
	}
	return nil
}

// newRaw gives a stream and the peer's end of it.
func newRaw(t *testing.T) (*rawStream, net.Conn) {
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return &rawStream{pipe: here, conn: rawConn{remote: "someone"}, scope: &rawScope{limit: 10 * MaxData}}, there
}

func (s *rawStream) Read(p []byte) (int, error)         { return s.pipe.Read(p) }
func (s *rawStream) Close() error                       { return s.pipe.Close() }
func (s *rawStream) SetWriteDeadline(d time.Time) error { return s.pipe.SetWriteDeadline(d) }
func (s *rawStream) Conn() network.Conn                 { return s.conn }
func (s *rawStream) Scope() network.StreamScope         { return s.scope }

// SetReadDeadline works, unlike the pipe's, after the peer has closed its side.
func (s *rawStream) SetReadDeadline(d time.Time) error {
	if err := s.pipe.SetReadDeadline(d); !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// Write writes in two parts, as a stream may that has to wait for its peer.
func (s *rawStream) Write(p []byte) (int, error) {
	n, err := s.pipe.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	m, err := s.pipe.Write(p[len(p)/2:])
	return n + m, err
}

func (s *rawStream) Reset() error {
	s.mu.Lock()
	s.reset = true
	s.mu.Unlock()
	return s.pipe.Close()
}

func (s *rawStream) ResetWithError(code network.StreamErrorCode) error {
	s.mu.Lock()
	s.code = code
	s.mu.Unlock()
	return s.Reset()
}

func (s *rawStream) wasReset() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reset
}
