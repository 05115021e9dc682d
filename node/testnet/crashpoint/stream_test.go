package crashpoint_test

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// memStream is one end of a stream.
type memStream struct {
	network.Stream // nil
	host           *memHost
	remote         peer.ID
	id             protocol.ID
	asks           bool // this end opened it
	in, out        *pipe
}

func (s *memStream) Read(b []byte) (int, error) { return s.in.read(b) }

// Write is one message: wire.Stream writes a frame at a time.
func (s *memStream) Write(b []byte) (n int, err error) {
	m := s.message(b)
	err = s.host.fate.around("send "+nameOf(m), func() error {
		frame, err := s.host.web.arrives(s, m, b)
		if err == nil && frame != nil {
			_, err = s.out.write(frame)
		}
		if err == nil {
			n = len(b)
			s.host.said(m)
		}
		return err
	})
	return n, err
}

// message is what a frame says, nil if nobody would understand it.
func (s *memStream) message(frame []byte) proto.Message {
	asked, answered := messages(s.id)
	m := answered
	if s.asks {
		m = asked
	}
	size, n := binary.Uvarint(frame)
	if m == nil || n <= 0 || size != uint64(len(frame)-n) || proto.Unmarshal(frame[n:], m) != nil {
		return nil
	}
	return m
}

func nameOf(m proto.Message) string {
	if m == nil {
		return "something else"
	}
	name := string(m.ProtoReflect().Descriptor().Name())
	if kinds := m.ProtoReflect().Descriptor().Oneofs(); kinds.Len() > 0 {
		if kind := m.ProtoReflect().WhichOneof(kinds.Get(0)); kind != nil {
			return name + " " + string(kind.Name())
		}
		return name + " (empty)"
	}
	return name
}

// messages are what the two ends of a protocol's stream send.
func messages(id protocol.ID) (asked, answered proto.Message) {
	switch id {
	case wire.OfferProtocol:
		return &pb.OfferQuery{}, &pb.OfferAnswer{}
	case wire.LeaseProtocol:
		return &pb.LeaseRequest{}, &pb.LeaseAnswer{}
	case wire.RunProtocol:
		return &pb.RunRequest{}, &pb.RunEvent{}
	case wire.BlobProtocol:
		return &pb.BlobRequest{}, &pb.BlobAnswer{}
	case wire.StatusProtocol:
		return &pb.StatusRequest{}, &pb.StatusAnswer{}
	case wire.ChallengeProtocol:
		return &pb.ChallengeRequest{}, &pb.ChallengeAnswer{}
	}
	return nil, nil
}

func (s *memStream) CloseWrite() error {
	if !s.host.fate.isDead() {
		s.out.finish(io.EOF)
	}
	return nil
}

func (s *memStream) CloseRead() error {
	s.in.drop(errReset)
	return nil
}

func (s *memStream) Close() error {
	if s.end() {
		s.out.finish(io.EOF)
		s.in.drop(errReset)
	}
	return nil
}

func (s *memStream) Reset() error {
	if s.end() {
		s.out.drop(errRemoteReset)
		s.in.drop(errReset)
	}
	return nil
}

// end tells whether the other side learns of it: what a node does that has
// crashed has no effect, and its streams break off when its host leaves.
func (s *memStream) end() (told bool) {
	s.in.stop()
	if s.host.fate.isDead() {
		return false
	}
	s.host.forget(s)
	return true
}

func (s *memStream) ResetWithError(network.StreamErrorCode) error { return s.Reset() }
func (s *memStream) SetDeadline(t time.Time) error                { s.in.until(t); return nil }
func (s *memStream) SetReadDeadline(t time.Time) error            { s.in.until(t); return nil }
func (s *memStream) SetWriteDeadline(time.Time) error             { return nil } // nothing blocks
func (s *memStream) Protocol() protocol.ID                        { return s.id }
func (s *memStream) SetProtocol(protocol.ID) error                { return nil }
func (s *memStream) Scope() network.StreamScope                   { return &network.NullScope{} }
func (s *memStream) Conn() network.Conn                           { return memConn{remote: s.remote} }

type memConn struct {
	network.Conn
	remote peer.ID
}

func (c memConn) RemotePeer() peer.ID     { return c.remote }
func (c memConn) Stat() network.ConnStats { return network.ConnStats{} }
