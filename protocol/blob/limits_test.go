package blob

import (
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func TestLimits(t *testing.T) {
	received := func(t *testing.T, blocks [][]byte) error {
		_, err := receive(&sinkOf{want: blocks}, blocks)
		if err != nil {
			require.ErrorIs(t, err, ErrGarbage)
		}
		return err
	}
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"block":               func(t *testing.T, n int64) error { return received(t, [][]byte{make([]byte, n)}) },
		"blocks in one frame": func(t *testing.T, n int64) error { return received(t, make([][]byte, n)) },
		"blocks to leave out of a transfer": func(t *testing.T, n int64) error {
			client, server := pair(t)
			store := &storeOf{client: client.ID(), root: rootOf(blocksOf(1, 2)), source: func(int) Source { return sourceOf(nil) }}
			serve(t, server, store)
			var a pb.BlobAnswer
			root := store.root.Bytes()
			q := &pb.BlobRequest{Request: &pb.BlobRequest_Get{Get: &pb.BlobGet{Lease: lease[:], Root: root, Skip: uint64(n)}}}
			require.NoError(t, wire.Ask(t.Context(), client, server.ID(), wire.BlobProtocol, q, &a, wire.MaxControl))
			return limittest.Refused(a.GetEnd() != nil)
		},
		"CID of what is transferred": func(t *testing.T, n int64) error {
			mh, err := multihash.Encode(make([]byte, n-4), multihash.IDENTITY) // after version, codec, kind of hash and length
			require.NoError(t, err)
			root := cid.NewCidV1(cid.Raw, mh).Bytes()
			require.Len(t, root, int(n))
			_, _, err = subject(lease[:], root)
			return err
		},
	})
}
