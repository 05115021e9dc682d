package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	pool "github.com/libp2p/go-buffer-pool"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// maxPrefix is the most bytes of a frame's length: enough for 256 MiB.
const maxPrefix = 4

// Stream carries frames over a libp2p stream. One goroutine may read while
// others write.
type Stream struct {
	raw   network.Stream
	in    *bufio.Reader
	out   sync.Mutex
	stop  func() bool
	begun func() // called when a frame is there whole
}

// NewStream puts frames on raw. The stream ends, by reset, when ctx does.
func NewStream(ctx context.Context, raw network.Stream) *Stream {
	s := &Stream{raw: raw, in: bufio.NewReaderSize(raw, 4<<10), begun: func() {}}
	s.stop = context.AfterFunc(ctx, func() { _ = raw.Reset() })
	return s
}

// Peer is who is at the other end; libp2p has authenticated it.
func (s *Stream) Peer() peer.ID { return s.raw.Conn().RemotePeer() }

// Limited tells that the connection goes through a relay that limits it.
func (s *Stream) Limited() bool { return s.raw.Conn().Stat().Limited }

// Read reads one frame of at most limit bytes into m. It waits up to idle
// for the frame to begin and FrameTimeout for the rest; past that the error is
// ErrSlow. io.EOF means that the peer ended the conversation between two frames.
func (s *Stream) Read(m proto.Message, limit int, idle time.Duration) error {
	return s.ReadRaw(limit, idle, func(body []byte) error { return Decode(body, m) })
}

// ReadRaw is Read for who decodes a frame by itself: take gets its body, which
// is somebody else's once take has returned.
func (s *Stream) ReadRaw(limit int, idle time.Duration, take func(body []byte) error) error {
	if err := s.raw.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return err
	}
	if _, err := s.in.Peek(1); err != nil {
		return slow(err)
	}
	if err := s.raw.SetReadDeadline(time.Now().Add(FrameTimeout)); err != nil {
		return err
	}
	size, err := s.readSize()
	if err != nil {
		return err
	}
	if size > uint64(limit) { //nolint:gosec // limits are positive constants
		return fmt.Errorf("%w: %d bytes announced, %d allowed", ErrTooLarge, size, limit)
	}
	priority := network.ReservationPriorityMedium
	if limit <= MaxControl {
		priority = network.ReservationPriorityAlways // those that may wait are few: MaxOpening
	}
	return s.readBody(int(size), priority, take) //nolint:gosec // not above limit
}

// readSize reads a frame's length, a uvarint of at most maxPrefix bytes.
func (s *Stream) readSize() (size uint64, err error) {
	for i := range maxPrefix {
		b, err := s.in.ReadByte()
		if err != nil {
			return 0, frameCut(err)
		}
		size |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return size, nil
		}
	}
	return 0, fmt.Errorf("%w: its length has more than %d bytes", ErrTooLarge, maxPrefix)
}

func (s *Stream) readBody(size int, priority uint8, take func([]byte) error) error {
	if err := s.raw.Scope().ReserveMemory(size, priority); err != nil {
		return fmt.Errorf("no memory for a frame of %d bytes: %w", size, err)
	}
	defer s.raw.Scope().ReleaseMemory(size)
	body := pool.Get(size)
	defer pool.Put(body)
	if _, err := io.ReadFull(s.in, body); err != nil {
		return frameCut(err)
	}
	s.begun()
	return take(body)
}

// Decode reads a frame's body into m, which keeps nothing of it.
func Decode(body []byte, m proto.Message) error {
	if err := countFields(body, m.ProtoReflect().Descriptor()); err != nil {
		return err
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return Malformed("%s: %v", m.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// frameCut keeps an end in the middle of a frame apart from one between
// frames: a peer that ends its side in order there is not a correct one.
func frameCut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the frame ends early: %w", ErrMalformed, io.ErrUnexpectedEOF)
	}
	return slow(err)
}

// slow marks a deadline that passed while the peer was to send or take bytes.
func slow(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrSlow, err)
	}
	return err
}

// Head is the room that WriteRaw needs before a frame's body.
const Head = binary.MaxVarintLen64

// Write sends m as one frame, whole or not at all as far as the caller can tell.
func (s *Stream) Write(m proto.Message) error {
	buf := pool.Get(Head + proto.Size(m))
	defer pool.Put(buf)
	frame, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(buf[:Head], m)
	if err != nil {
		return err
	}
	return s.WriteRaw(frame)
}

// WriteRaw is Write for who encoded a message by itself: frame is its body after
// Head bytes, which are written over.
func (s *Stream) WriteRaw(frame []byte) error {
	var prefix [Head]byte
	n := binary.PutUvarint(prefix[:], uint64(len(frame)-Head))
	start := Head - n
	copy(frame[start:], prefix[:n])

	s.out.Lock()
	defer s.out.Unlock()
	if err := s.raw.SetWriteDeadline(time.Now().Add(FrameTimeout)); err != nil {
		return err
	}
	_, err := s.raw.Write(frame[start:])
	return slow(err)
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
func (s *Stream) Reset() { s.resetFor(network.StreamNoError) }

// resetFor tells the other side why.
func (s *Stream) resetFor(why network.StreamErrorCode) {
	s.stop()
	_ = s.raw.ResetWithError(why)
}
