package blob

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
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
		"one stream of a transfer": inTime(func(t *testing.T, raw *endless, wait time.Duration) error {
			s, done, err := open(t.Context(), oneStream{raw: raw}, "someone")
			require.NoError(t, err)
			defer s.Reset()
			defer done()
			return raw.lasts(wait)
		}),
		"syncing what was put": inTime(func(t *testing.T, raw *endless, wait time.Duration) error {
			sent, answer := make(chan error, 1), make(chan error, 1)
			sent <- nil
			go func() { answer <- raw.lasts(wait) }()
			return settle(wire.NewStream(t.Context(), raw), sent, answer)
		}),
	})
}

// endless is a stream on which nothing comes; it can be reset.
type endless struct {
	network.Stream // nil: of nothing else is use made
	once           sync.Once
	ended          chan struct{}
}

func (e *endless) Scope() network.StreamScope { return &network.NullScope{} }

func (e *endless) Reset() error { return e.ResetWithError(0) }

func (e *endless) ResetWithError(network.StreamErrorCode) error {
	e.once.Do(func() { close(e.ended) })
	return nil
}

// lasts tells whether the stream is still there after so long.
func (e *endless) lasts(wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-e.ended:
		return ErrBroken
	}
}

// oneStream is a host with that stream to everybody.
type oneStream struct {
	host.Host
	raw *endless
}

func (o oneStream) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	return o.raw, nil
}

// inTime runs a probe of a time by synctest's clock.
func inTime(try func(t *testing.T, raw *endless, wait time.Duration) error) limittest.Probe {
	return func(t *testing.T, n int64) (err error) {
		synctest.Test(t, func(t *testing.T) {
			err = try(t, &endless{ended: make(chan struct{})}, limittest.Wait(n))
		})
		return err
	}
}
