package p2p

import (
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autonat"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// ownLimit bounds one of libp2p's own services, its protocols, or both. Limits
// of all peers together grow with the machine's memory; those of one don't.
type ownLimit struct {
	service                  string
	protocols                []protocol.ID
	all, more                rcmgr.BaseLimit // more for each GiB
	ofService, ofAnyProtocol rcmgr.BaseLimit // for one peer
}

// ownLimits are the limits that libp2p gives its own protocols, in the package
// of its options (see hostConfig). A test holds them against that.
func ownLimits() []ownLimit {
	const identifyMemory = 32 * (256<<20 + 16<<10)
	return []ownLimit{
		{
			identify.ServiceName, []protocol.ID{identify.ID, identify.IDPush},
			ofStreams(64, 64, 128, 4<<20), ofStreams(64, 64, 128, 4<<20),
			ofStreams(16, 16, 32, 1<<20), ofStreams(16, 16, 32, identifyMemory),
		},
		{
			ping.ServiceName, []protocol.ID{ping.ID},
			ofStreams(64, 64, 64, 4<<20), ofStreams(64, 64, 64, 4<<20),
			ofStreams(2, 3, 4, identifyMemory), ofStreams(2, 3, 4, identifyMemory),
		},
		{
			autonat.ServiceName, []protocol.ID{autonat.AutoNATProto},
			ofStreams(64, 64, 64, 4<<20), ofStreams(4, 4, 4, 2<<20),
			ofStreams(2, 2, 2, 1<<20), ofStreams(2, 2, 2, 1<<20),
		},
		{
			holepunch.ServiceName, []protocol.ID{holepunch.Protocol},
			ofStreams(32, 32, 64, 4<<20), ofStreams(8, 8, 16, 4<<20),
			ofStreams(2, 2, 2, 1<<20), ofStreams(2, 2, 2, 1<<20),
		},
		{
			service: relay.ServiceName,
			all:     ofStreams(256, 256, 256, 16<<20), more: ofStreams(256, 256, 256, 16<<20),
			ofService: ofStreams(64, 64, 64, 1<<20),
		},
		{
			protocols: []protocol.ID{circuit.ProtoIDv2Hop, circuit.ProtoIDv2Stop},
			all:       ofStreams(640, 640, 640, 16<<20), more: ofStreams(640, 640, 640, 16<<20),
			ofAnyProtocol: ofStreams(128, 128, 128, 32<<20),
		},
	}
}

func ofStreams(in, out, total int, memory int64) rcmgr.BaseLimit {
	return rcmgr.BaseLimit{StreamsInbound: in, StreamsOutbound: out, Streams: total, Memory: memory}
}

// each is a limit as what is added to one for each GiB.
func each(l rcmgr.BaseLimit) rcmgr.BaseLimitIncrease {
	return rcmgr.BaseLimitIncrease{StreamsInbound: l.StreamsInbound, StreamsOutbound: l.StreamsOutbound, Streams: l.Streams, Memory: l.Memory}
}

// addTo adds it to limits that scale with the machine.
func (l ownLimit) addTo(c *rcmgr.ScalingLimitConfig) {
	if l.service != "" {
		c.AddServiceLimit(l.service, l.all, each(l.more))
		c.AddServicePeerLimit(l.service, l.ofService, rcmgr.BaseLimitIncrease{})
	}
	for _, id := range l.protocols {
		c.AddProtocolLimit(id, l.all, each(l.more))
		c.AddProtocolPeerLimit(id, l.ofAnyProtocol, rcmgr.BaseLimitIncrease{})
	}
}
