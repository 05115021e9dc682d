package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"souk/protocol/blob"
	"souk/protocol/challenge"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// answering is a node with every protocol's server, and what it tells its operator.
type answering struct {
	*Node
	mu  sync.Mutex
	log bytes.Buffer
}

func (a *answering) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(p)
}

func (a *answering) told() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.String()
}

// shelf has nothing; nobody who misbehaves gets as far as to ask it for more.
type shelf struct {
	lease.Provider
	run.Runner
	blob.Store
	status.Holder
	challenge.Prover
}

func (shelf) SealedOffers(context.Context, int) ([][]byte, error) { return nil, nil }

func newAnswering(t *testing.T) *answering {
	a := &answering{Node: newNode(t)}
	d := wire.NewDispatcher(a.Host(), a.Node, slog.New(slog.NewTextHandler(a, nil)))
	t.Cleanup(d.Close)
	var s shelf
	offer.Serve(d, "test", s)
	lease.Serve(d, market.NoChain("test"), market.Address{}, s)
	run.Serve(d, s)
	blob.Serve(d, s)
	status.Serve(d, s)
	challenge.Serve(d, "test", a.ID(), s)
	return a
}

// stranger is a peer that knows no limits of its own.
func stranger(t *testing.T, of *answering) host.Host {
	h, err := libp2p.New(libp2p.Identity(newKeyPair(t)), libp2p.NoListenAddrs, libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	require.NoError(t, h.Connect(t.Context(), peer.AddrInfo{ID: of.ID(), Addrs: of.Host().Addrs()}))
	return h
}

func askedHonestly(t *testing.T, from host.Host, of *answering) error {
	_, _, err := offer.Ask(t.Context(), from, of.ID(), "test", 1)
	return err
}

// badFrames are what no correct peer sends on any of the protocols.
func badFrames() map[string][]byte {
	return map[string][]byte{
		"2^63-1":            binary.AppendUvarint(nil, 1<<63-1),
		"1 GB":              binary.AppendUvarint(nil, 1e9),
		"a length for ever": bytes.Repeat([]byte{0xff}, 16),
		"no message":        append(binary.AppendUvarint(nil, 3), 0xff, 0xff, 0xff),
		"cut":               append(binary.AppendUvarint(nil, 100), 1, 2, 3),
	}
}

// toss sends bytes on a new stream and waits until it is answered or ended.
// It tells whether it got as far as that.
func toss(t *testing.T, from host.Host, to peer.ID, id protocol.ID, frame []byte) bool {
	s, err := from.NewStream(t.Context(), to, id)
	if err != nil {
		return false
	}
	defer func() { _ = s.Reset() }()
	if _, err := s.Write(frame); err != nil {
		return false
	}
	_ = s.CloseWrite()
	n, _ := s.Read(make([]byte, 1024))
	return n > 0
}

// A peer that sends 20 malformed frames is refused by the sixth, whatever
// protocol it sends them on; its operator reads why, and others are served.
func TestAPeerThatSendsMalformedFramesIsShutOut(t *testing.T) {
	for _, service := range serviceLimits() {
		t.Run(string(service.protocol), func(t *testing.T) {
			provider := newAnswering(t)
			honest, bad := stranger(t, provider), stranger(t, provider)
			require.NoError(t, askedHonestly(t, bad, provider), "before it misbehaves")
			answered, frames := 0, badFrames()
			for sent := 0; sent < 20; {
				for _, frame := range frames {
					if sent++; toss(t, bad, provider.ID(), service.protocol, frame) {
						answered++
					}
				}
			}
			require.GreaterOrEqual(t, answered, wire.MalformedBeforeBlock, "it is told what was wrong")
			require.LessOrEqual(t, answered, wire.MalformedBeforeBlock+1)
			require.Error(t, askedHonestly(t, bad, provider), "an honest question comes too late")
			require.Empty(t, provider.Host().Network().ConnsToPeer(bad.ID()))
			require.NoError(t, askedHonestly(t, honest, provider))
			require.Contains(t, provider.told(), "peer blocked")
			require.Contains(t, provider.told(), bad.ID().String())
			require.Contains(t, provider.told(), "malformed message")
		})
	}
}

// floodStreams is how many half-open streams one peer tries to hold.
const floodStreams = 1000

// A peer that opens streams without end, and on each begins a frame that it
// never ends, holds no more than its share of them and of memory.
func TestHalfOpenStreamsOfOnePeerAreBounded(t *testing.T) {
	provider := newAnswering(t)
	honest, bad := stranger(t, provider), stranger(t, provider)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	services := serviceLimits()
	for n := range floodStreams {
		s, err := bad.NewStream(t.Context(), provider.ID(), services[n%len(services)].protocol)
		if err == nil {
			_, _ = s.Write(binary.AppendUvarint(nil, wire.MaxControl)) // begins
		}
		if n%100 == 0 {
			require.NoError(t, askedHonestly(t, honest, provider), "after %d streams of the other", n)
		}
	}
	held := func() (inbound int, memory int64) {
		require.NoError(t, provider.Host().Network().ResourceManager().ViewPeer(bad.ID(), func(s network.PeerScope) error {
			inbound, memory = s.Stat().NumStreamsInbound, s.Stat().Memory
			return nil
		}))
		return inbound, memory
	}
	require.Eventually(t, func() bool {
		inbound, _ := held()
		return inbound <= PeerStreams
	}, time.Minute, often, "all but its share of streams were ended")
	inbound, memory := held()
	require.Positive(t, inbound, "some of them are half open")
	require.LessOrEqual(t, memory, int64(PeerStreams*wire.MaxControl+PeerConns<<20), "of streams and connections")
	runtime.ReadMemStats(&after)
	require.Less(t, after.HeapAlloc, before.HeapAlloc+256<<20, "of both sides, and what isn't collected yet")
	for range 50 {
		require.NoError(t, askedHonestly(t, honest, provider))
	}
	require.NoError(t, askedHonestly(t, stranger(t, provider), provider), "and newcomers are served")
}

// Peers that hold streams half open, each no more than its share and together
// more than a protocol has, leave room for others on that very protocol.
func TestHalfOpenStreamsOfManyPeersLeaveRoomForOthers(t *testing.T) {
	provider := newAnswering(t)
	honest := stranger(t, provider)
	all := serviceLimits()[0] // offers, which the honest ask for
	for range all.streams/all.streamsPerPeer + 1 {
		bad := stranger(t, provider)
		for range all.streamsPerPeer {
			s, err := bad.NewStream(t.Context(), provider.ID(), all.protocol)
			require.NoError(t, err)
			_, _ = s.Write(binary.AppendUvarint(nil, wire.MaxControl)) // begins
		}
		require.NoError(t, askedHonestly(t, honest, provider))
	}
	require.NoError(t, askedHonestly(t, stranger(t, provider), provider), "and newcomers are served")
}

// Nothing is set aside for a frame that is too long to be one.
func TestHugeFramesCostNoMemory(t *testing.T) {
	provider := newAnswering(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, service := range serviceLimits() {
		bad := stranger(t, provider)
		for _, name := range []string{"2^63-1", "1 GB", "a length for ever"} {
			require.True(t, toss(t, bad, provider.ID(), service.protocol, badFrames()[name]), "%s of %s is refused in words", name, service.protocol)
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20), "18 frames announce far more than that, one by one")
}
