package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	"souk/node/ledger"
	"souk/protocol/pb"
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

// paged is a host whose peer shows a page of a channel's status with nothing on
// it after each of the waits.
type paged struct {
	host.Host
	waits []time.Duration
	asked int
}

func (p *paged) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	page := &pb.ChannelStatus{NextCursor: uint64(p.asked+1) % uint64(len(p.waits))}
	raw, err := proto.Marshal(&pb.StatusAnswer{Answer: &pb.StatusAnswer_Channel{Channel: page}})
	if err != nil {
		return nil, err
	}
	s := &frameStream{frame: bytes.NewReader(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...))}
	s.takes, s.reset = p.waits[p.asked], make(chan struct{})
	p.asked++
	return s, nil
}

// frameStream has a frame in the place of its end.
type frameStream struct {
	slowStream
	frame io.Reader
}

func (s *frameStream) Read(b []byte) (int, error) {
	if !s.answered {
		if _, err := s.slowStream.Read(nil); !s.answered {
			return 0, err
		}
	}
	return s.frame.Read(b)
}

// noBook takes what is written, and holds nothing.
type noBook struct{ Ledger }

func (noBook) Update(context.Context, func(*ledger.Tx) error) error { return nil }
