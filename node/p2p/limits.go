package p2p

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"souk/protocol/wire"
)

// Connections. Between the marks the connection manager leaves things alone;
// over HighWater it closes unprotected connections down to LowWater. MaxConns
// stands above, for protected ones and for what comes in meanwhile.
const (
	LowWater  = 160
	HighWater = 256
	MaxConns  = 512
	MaxFiles  = 1024 // file descriptors under TCP connections
)

// Limits of one peer, all protocols together, and of the whole node. Memory
// is what streams and connections reserve, in bytes.
const (
	PeerStreams    = 32 // each way
	PeerMemory     = 64 << 20
	RegularStreams = 256 // of a peer that this node trades with
	RegularMemory  = 128 << 20
	PeerConns      = 8
	TotalStreams   = 4096 // each way
	TotalMemory    = 384 << 20
	// Streams that come in without a word, and those of protocols that aren't souk's,
	// of all peers: each is 256 KiB of TotalMemory, which have to leave room for souk's own.
	UnnamedStreams = 512
	ForeignStreams = 512 // of one such protocol, as the DHT's
)

// serviceLimit bounds one of souk's protocols: all peers together, and one.
// Streams count both ways together; one way is bounded by PeerStreams too.
type serviceLimit struct {
	protocol                   protocol.ID
	streams, streamsPerPeer    int
	memory, memoryPerPeerBytes int64
}

// serviceLimits has a row for each of souk's protocols. Only those that carry
// data frames (run, blob) may hold more than a few control frames in memory.
func serviceLimits() []serviceLimit {
	return []serviceLimit{
		{wire.OfferProtocol, 512, 16, 16 << 20, 1 << 20},
		{wire.LeaseProtocol, 512, 128, 16 << 20, 4 << 20},
		{wire.RunProtocol, 1024, 128, 64 << 20, 32 << 20},
		{wire.BlobProtocol, 256, 64, 96 << 20, 24 << 20},
		{wire.StatusProtocol, 512, 16, 16 << 20, 2 << 20},
		{wire.ChallengeProtocol, 256, 4, 32 << 20, 8 << 20},
	}
}

// newResourceManager makes the resource manager with libp2p's own limits for
// its own protocols and souk's for everything above. The services' names are
// the protocol IDs, which is what wire's dispatcher gives its streams.
func newResourceManager(r *regulars) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	for _, l := range ownLimits() {
		l.addTo(&scaling)
	}
	limits := soukLimits().Build(scaling.AutoScale())
	return rcmgr.NewResourceManager(limiter{rcmgr.NewFixedLimiter(limits), r}, rcmgr.WithMetricsDisabled())
}

func soukLimits() rcmgr.PartialLimitConfig {
	p := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: MaxConns, ConnsInbound: MaxConns, ConnsOutbound: MaxConns, FD: MaxFiles,
			Streams: 2 * TotalStreams, StreamsInbound: TotalStreams, StreamsOutbound: TotalStreams,
			Memory: TotalMemory,
		},
		Transient: rcmgr.ResourceLimits{
			Streams: 2 * UnnamedStreams, StreamsInbound: UnnamedStreams, StreamsOutbound: UnnamedStreams,
		},
		PeerDefault:     soukPeer(PeerStreams, PeerMemory),
		ProtocolDefault: rcmgr.ResourceLimits{StreamsInbound: ForeignStreams},
		Service:         make(map[string]rcmgr.ResourceLimits),
		ServicePeer:     make(map[string]rcmgr.ResourceLimits),
		Protocol:        make(map[protocol.ID]rcmgr.ResourceLimits),
		ProtocolPeer:    make(map[protocol.ID]rcmgr.ResourceLimits),
	}
	for _, s := range serviceLimits() {
		all, one := streamLimit(s.streams, s.memory), streamLimit(s.streamsPerPeer, s.memoryPerPeerBytes)
		p.Service[string(s.protocol)], p.ServicePeer[string(s.protocol)] = all, one
		p.Protocol[s.protocol], p.ProtocolPeer[s.protocol] = all, one
	}
	return p
}

func soukPeer(streams, memory int) rcmgr.ResourceLimits {
	n := rcmgr.LimitVal(streams)
	return rcmgr.ResourceLimits{
		Conns: PeerConns, ConnsInbound: PeerConns, ConnsOutbound: PeerConns,
		Streams: 2 * n, StreamsInbound: n, StreamsOutbound: n, Memory: rcmgr.LimitVal64(memory),
		FD: PeerConns, // each over TCP has one
	}
}

func streamLimit(streams int, memory int64) rcmgr.ResourceLimits {
	n := rcmgr.LimitVal(streams)
	return rcmgr.ResourceLimits{
		Streams: n, StreamsInbound: n, StreamsOutbound: n,
		Conns: rcmgr.BlockAllLimit, ConnsInbound: rcmgr.BlockAllLimit, ConnsOutbound: rcmgr.BlockAllLimit,
		FD:     rcmgr.BlockAllLimit,
		Memory: rcmgr.LimitVal64(memory),
	}
}
