package blob

import (
	"fmt"

	pool "github.com/libp2p/go-buffer-pool"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// The fields of blocks in a message, by who sends it, and of a block in those.
// Nearly all bytes of a transfer are blocks, so they are put into frames and
// taken out of them without the copies that the decoder of all messages makes.
const (
	blocksOfRequest protowire.Number = 3
	blocksOfAnswer  protowire.Number = 2
	blockData       protowire.Number = 1
)

// Room in a frame before its blocks, and beside each of them.
const (
	frameHead = wire.Head + 1 + 4 // the tag and length of all blocks
	blockHead = 1 + 3
)

// builder puts blocks into frames, several small ones into one. It keeps none.
type builder struct {
	field protowire.Number
	write func(frame []byte) error // Stream.WriteRaw
	frame []byte                   // from frameHead on what was added
	count int
	held  int64 // bytes of blocks in frame
}

func newBuilder(field protowire.Number, write func([]byte) error) *builder {
	return &builder{field: field, write: write, frame: pool.Get(frameHead + FrameBytes + FrameBlocks*blockHead)[:frameHead]}
}

// close gives the builder's memory back.
func (b *builder) close() { pool.Put(b.frame) }

// full says that a block has no more room in this frame.
func (b *builder) full(block []byte) bool {
	return b.count > 0 && (b.held+int64(len(block)) > FrameBytes || b.count == FrameBlocks)
}

func (b *builder) add(block []byte) {
	b.frame = protowire.AppendTag(b.frame, blockData, protowire.BytesType)
	b.frame = protowire.AppendBytes(b.frame, block)
	b.count++
	b.held += int64(len(block))
}

// flush sends what was added, and gives how many bytes of blocks that is.
func (b *builder) flush() (int64, error) {
	if b.count == 0 {
		return 0, nil
	}
	var room [frameHead]byte
	head := protowire.AppendTag(room[:0], b.field, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(b.frame)-frameHead))
	start := frameHead - len(head)
	copy(b.frame[start:], head)
	err := b.write(b.frame[start-wire.Head:])
	sent := b.held
	b.frame, b.count, b.held = b.frame[:frameHead], 0, 0
	return sent, err
}

// blocksIn gives the blocks of a frame that is nothing else; they are parts of
// it. false: it is something else, or written in another way.
func blocksIn(body []byte, field protowire.Number) (blocks [][]byte, ok bool) {
	m, ok := wire.Only(body, field)
	for ; ok && len(m) > 0; ok = ok && len(blocks) <= FrameBlocks {
		n, kind, tag := protowire.ConsumeTag(m)
		if tag < 0 || n != blockData || kind != protowire.BytesType {
			return nil, false
		}
		block, size := protowire.ConsumeBytes(m[tag:])
		if size < 0 {
			return nil, false
		}
		blocks, m = append(blocks, block), m[tag+size:]
	}
	return blocks, ok
}

// receive puts one frame's blocks into sink and returns their bytes.
func receive(sink Sink, blocks [][]byte) (int64, error) {
	if n := len(blocks); n == 0 || n > FrameBlocks {
		return 0, fmt.Errorf("%w: a frame with %d blocks; it has 1 to %d", ErrGarbage, n, FrameBlocks)
	}
	var moved int64
	for _, block := range blocks {
		if len(block) > MaxBlock {
			return moved, fmt.Errorf("%w: a block of %d bytes, the most is %d", ErrGarbage, len(block), MaxBlock)
		}
		if err := sink.Accept(block); err != nil {
			return moved, err
		}
		moved += int64(len(block))
	}
	return moved, nil
}

// message is one that may be blocks.
type message interface {
	proto.Message
	GetBlocks() *pb.BlobBlocks
}

// taken says what a frame was.
type taken struct {
	blocks bool  // that went to the sink; else a message
	bytes  int64 // of the blocks that it took
	err    error // the sink's
}

// takeFrame reads a frame and puts its blocks into sink, or where it has none
// reads it into m. The error is that of reading.
func takeFrame(s *wire.Stream, sink Sink, field protowire.Number, m message) (t taken, err error) {
	err = s.ReadRaw(wire.MaxData, wire.IdleTimeout, func(body []byte) error {
		blocks, short := blocksIn(body, field)
		if !short {
			if err := wire.Decode(body, m); err != nil || m.GetBlocks() == nil {
				return err
			}
			blocks = m.GetBlocks().GetData()
		}
		t.blocks = true
		t.bytes, t.err = receive(sink, blocks)
		return nil
	})
	return t, err
}
