package blob

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// framesOf is what sendAll makes of blocks whose memory is written over as
// soon as the next one is asked for.
func framesOf(t *testing.T, field protowire.Number, blocks [][]byte) (frames [][]byte) {
	t.Helper()
	b := newBuilder(field, func(frame []byte) error {
		frames = append(frames, bytes.Clone(frame[wire.Head:]))
		return nil
	})
	defer b.close()
	lent := func(yield func([]byte, error) bool) {
		memory := make([]byte, MaxBlock)
		for _, block := range blocks {
			n := copy(memory, block)
			if !yield(memory[:n], nil) {
				return
			}
			clear(memory)
		}
	}
	require.NoError(t, sendAll(lent, b, nil))
	return frames
}

// What is sent can be read by any decoder of protobuf, and by the short way.
func TestFramesOfBlocksAreMessages(t *testing.T) {
	for name, c := range map[string]struct {
		blocks [][]byte
		frames int
	}{
		"one":             {[][]byte{[]byte("a")}, 1},
		"empty ones":      {[][]byte{{}, {}, {}}, 1},
		"many small":      {blocksOf(2*FrameBlocks+1, 4), 3},
		"full ones":       {[][]byte{make([]byte, MaxBlock), bytes.Repeat([]byte{7}, MaxBlock), []byte("rest")}, 3},
		"a frame's worth": {[][]byte{make([]byte, FrameBytes/2), make([]byte, FrameBytes/2), []byte("more"), []byte("and more")}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			blocks := c.blocks
			var requested, answered, short [][]byte
			for _, frame := range framesOf(t, blocksOfRequest, blocks) {
				var m pb.BlobRequest
				require.NoError(t, wire.Decode(frame, &m))
				requested = append(requested, m.GetBlocks().GetData()...)
				got, ok := blocksIn(frame, blocksOfRequest)
				require.True(t, ok)
				short = append(short, got...)
			}
			frames := framesOf(t, blocksOfAnswer, blocks)
			require.Len(t, frames, c.frames)
			for _, frame := range frames {
				require.LessOrEqual(t, len(frame), wire.MaxData)
				var m pb.BlobAnswer
				require.NoError(t, wire.Decode(frame, &m))
				require.LessOrEqual(t, len(m.GetBlocks().GetData()), FrameBlocks)
				answered = append(answered, m.GetBlocks().GetData()...)
			}
			for _, got := range [][][]byte{requested, answered, short} {
				require.Len(t, got, len(blocks))
				for i := range blocks {
					require.True(t, bytes.Equal(blocks[i], got[i]), "block %d", i)
				}
			}
		})
	}
}

// Frames that aren't blocks alone are left to the decoder that knows all messages.
func TestOtherFramesAreNotTakenForBlocks(t *testing.T) {
	blocks := &pb.BlobRequest{Request: &pb.BlobRequest_Blocks{Blocks: &pb.BlobBlocks{Data: blocksOf(3, 4)}}}
	whole, err := proto.Marshal(blocks)
	require.NoError(t, err)
	end, err := proto.Marshal(&pb.BlobRequest{Request: &pb.BlobRequest_End{End: &pb.BlobEnd{}}})
	require.NoError(t, err)
	strange := protowire.AppendBytes(protowire.AppendTag(nil, blocksOfRequest, protowire.BytesType), []byte{2<<3 | 2, 1, 'x'})
	for _, body := range [][]byte{nil, end, strange, whole[:len(whole)-1], append(bytes.Clone(whole), end...), append(bytes.Clone(end), whole...), append(bytes.Clone(whole), whole...)} {
		_, ok := blocksIn(body, blocksOfRequest)
		require.False(t, ok, "%x", body)
	}
	_, ok := blocksIn(whole, blocksOfAnswer)
	require.False(t, ok)
}
