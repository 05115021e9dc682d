package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// Stream carries frames over a libp2p stream. One goroutine may read while
// others write.
type Stream struct {
	raw  network.Stream
	in   *bufio.Reader
	out  sync.Mutex
	stop func() bool
}

// NewStream puts frames on raw. The stream ends, by reset, when ctx does.
func NewStream(ctx context.Context, raw network.Stream) *Stream {
	s := &Stream{raw: raw, in: bufio.NewReaderSize(raw, 4<<10)}
	s.stop = context.AfterFunc(ctx, func() { _ = raw.Reset() })
	return s
}

// Peer is who is at the other end; libp2p has authenticated it.
func (s *Stream) Peer() peer.ID { return s.raw.Conn().RemotePeer() }

// Limited tells that the connection goes through a relay that limits it.
func (s *Stream) Limited() bool { return s.raw.Conn().Stat().Limited }

// Read reads one frame of at most limit bytes into m. It waits up to idle
// for the frame to begin and FrameTimeout for the rest. io.EOF means that the
// peer ended the conversation between two frames.
func (s *Stream) Read(m proto.Message, limit int, idle time.Duration) error {
	if err := s.raw.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return err
	}
	if _, err := s.in.Peek(1); err != nil {
		return err
	}
	if err := s.raw.SetReadDeadline(time.Now().Add(FrameTimeout)); err != nil {
		return err
	}
	size, err := binary.ReadUvarint(s.in)
	if err != nil {
		return frameCut(err)
	}
	if size > uint64(limit) { //nolint:gosec // limits are positive constants
		return fmt.Errorf("%w: %d bytes announced, %d allowed", ErrTooLarge, size, limit)
	}
	return s.readBody(m, int(size)) //nolint:gosec // not above limit
}

func (s *Stream) readBody(m proto.Message, size int) error {
	if err := s.raw.Scope().ReserveMemory(size, network.ReservationPriorityMedium); err != nil {
		return fmt.Errorf("no memory for a frame of %d bytes: %w", size, err)
	}
	defer s.raw.Scope().ReleaseMemory(size)
	body := make([]byte, size)
	if _, err := io.ReadFull(s.in, body); err != nil {
		return frameCut(err)
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return Malformed("%s: %v", m.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// frameCut keeps an end in the middle of a frame apart from one between frames.
func frameCut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write sends m as one frame, whole or not at all as far as the caller can tell.
func (s *Stream) Write(m proto.Message) error {
	frame, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, binary.MaxVarintLen64, 256), m)
	if err != nil {
		return err
	}
	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(len(frame)-binary.MaxVarintLen64))
	start := binary.MaxVarintLen64 - n
	copy(frame[start:], prefix[:n])

	s.out.Lock()
	defer s.out.Unlock()
	if err := s.raw.SetWriteDeadline(time.Now().Add(FrameTimeout)); err != nil {
		return err
	}
	_, err = s.raw.Write(frame[start:])
	return err
}

// CloseWrite says that nothing more comes from this side.
func (s *Stream) CloseWrite() error { return s.raw.CloseWrite() }

// Close ends the stream in order. That it was closed doesn't mean that the
// peer has read what was written.
func (s *Stream) Close() error {
	s.stop()
	return s.raw.Close()
}

// Reset ends the stream at once, both ways.
func (s *Stream) Reset() {
	s.stop()
	_ = s.raw.Reset()
}
