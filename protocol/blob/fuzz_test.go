package blob

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/internal/fuzztest"
	"souk/protocol/pb"
)

// FuzzRequest sends any bytes as a message of a transfer.
func FuzzRequest(f *testing.F) {
	blocks := blocksOf(2, 10)
	root := rootOf(blocks)
	for _, q := range []*pb.BlobRequest{
		{Request: &pb.BlobRequest_Get{Get: &pb.BlobGet{Lease: lease[:], Root: root.Bytes(), Skip: 1}}},
		{Request: &pb.BlobRequest_Put{Put: &pb.BlobPut{Lease: lease[:], Root: root.Bytes()}}},
		{Request: &pb.BlobRequest_Blocks{Blocks: &pb.BlobBlocks{Data: blocks}}},
		{Request: &pb.BlobRequest_End{End: &pb.BlobEnd{}}},
	} {
		seed, err := proto.Marshal(q)
		require.NoError(f, err)
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var m pb.BlobRequest
		err := proto.Unmarshal(b, &m)
		if got, short := blocksIn(b, blocksOfRequest); short {
			require.NoError(t, err)
			require.True(t, slices.EqualFunc(m.GetBlocks().GetData(), got, bytes.Equal))
		}
		if err != nil {
			return
		}
		for _, about := range [][2][]byte{{m.GetGet().GetLease(), m.GetGet().GetRoot()}, {m.GetPut().GetLease(), m.GetPut().GetRoot()}} {
			if h, c, err := subject(about[0], about[1]); err == nil {
				require.True(t, c.Defined())
				require.Equal(t, about[0], h[:])
			}
		}
		if n, err := receive(&sinkOf{want: blocks}, m.GetBlocks().GetData()); err == nil {
			require.LessOrEqual(t, n, int64(len(b)))
		}
	})
}
