package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var lease = market.Hash{1, 2, 3}

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics(),
	)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// pair is two connected hosts.
func pair(t *testing.T) (client, server host.Host) {
	t.Helper()
	client, server = newHost(t), newHost(t)
	require.NoError(t, client.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}))
	return client, server
}

func serve(t *testing.T, h host.Host, s Store) {
	t.Helper()
	d := wire.NewDispatcher(h, wire.Strangers{}, slog.New(slog.DiscardHandler))
	Serve(d, s)
	t.Cleanup(d.Close)
}

// hostilePeer serves the protocol with whatever it likes.
func hostilePeer(h host.Host, handle func(s *wire.Stream)) {
	h.SetStreamHandler(wire.BlobProtocol, func(raw network.Stream) {
		s := wire.NewStream(context.Background(), raw)
		defer s.Reset()
		handle(s)
	})
}

func blocksOf(n, size int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2)
	}
	return out
}

func rootOf(blocks [][]byte) cid.Cid {
	sum := sha256.Sum256(blocks[0])
	mh, err := multihash.Encode(sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err)
	}
	return cid.NewCidV1(cid.DagProtobuf, mh)
}

func sourceOf(blocks [][]byte) Source {
	return func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// sinkOf takes exactly the blocks it was made with.
type sinkOf struct {
	mu     sync.Mutex
	want   [][]byte
	have   int
	skip   int
	fails  map[int]error // what Accept says to block i
	closed bool
}

func (s *sinkOf) Skip() int { return s.skip }

func (s *sinkOf) Accept(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fails[s.have]; err != nil {
		return err
	}
	if s.have == len(s.want) || !bytes.Equal(b, s.want[s.have]) {
		return fmt.Errorf("%w: not block %d", ErrGarbage, s.have)
	}
	s.have++
	return nil
}

func (s *sinkOf) Complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have == len(s.want)
}

func (s *sinkOf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// again is the sink that goes on where this one ended.
func (s *sinkOf) again() *sinkOf { return &sinkOf{want: s.want, have: s.have, skip: s.have} }

// storeOf lets one client read source and write sink under lease.
type storeOf struct {
	client peer.ID
	root   cid.Cid
	source func(skip int) Source
	sink   *sinkOf
}

func (s *storeOf) may(p peer.ID, l market.Hash, root cid.Cid) error {
	if p != s.client || l != lease || root != s.root {
		return wire.Refuse(wire.BadRequest, "not yours")
	}
	return nil
}

func (s *storeOf) Source(_ context.Context, p peer.ID, l market.Hash, root cid.Cid, skip int) (Source, error) {
	if err := s.may(p, l, root); err != nil {
		return nil, err
	}
	return s.source(skip), nil
}

func (s *storeOf) Sink(_ context.Context, p peer.ID, l market.Hash, root cid.Cid) (Sink, error) {
	if err := s.may(p, l, root); err != nil {
		return nil, err
	}
	return s.sink, nil
}

func answerBlocks(blocks ...[]byte) *pb.BlobAnswer {
	return &pb.BlobAnswer{Answer: &pb.BlobAnswer_Blocks{Blocks: &pb.BlobBlocks{Data: blocks}}}
}
