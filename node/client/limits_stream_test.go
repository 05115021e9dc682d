package client

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// oneStream is a host whose streams are all the same one.
type oneStream struct {
	host.Host
	raw network.Stream
}

func (o oneStream) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	return o.raw, nil
}

// slowStream takes whatever is written, and ends after so long.
type slowStream struct {
	network.Stream
	takes    time.Duration
	reset    chan struct{}
	once     sync.Once
	answered bool // its end was waited for
}

func (s *slowStream) Scope() network.StreamScope                   { return &network.NullScope{} }
func (s *slowStream) SetReadDeadline(time.Time) error              { return nil }
func (s *slowStream) SetWriteDeadline(time.Time) error             { return nil }
func (s *slowStream) SetDeadline(time.Time) error                  { return nil }
func (s *slowStream) Write(p []byte) (int, error)                  { return len(p), nil }
func (s *slowStream) CloseWrite() error                            { return nil }
func (s *slowStream) Close() error                                 { return nil }
func (s *slowStream) ResetWithError(network.StreamErrorCode) error { return s.Reset() }

func (s *slowStream) Reset() error {
	s.once.Do(func() { close(s.reset) })
	return nil
}

func (s *slowStream) Read([]byte) (int, error) {
	select {
	case <-time.After(s.takes):
		s.answered = true
		return 0, io.EOF
	case <-s.reset:
		return 0, network.ErrReset
	}
}
