package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"go.uber.org/fx"
)

// guards are what a host asks before it lets something in.
type guards struct {
	conns  connmgr.ConnManager
	limits network.ResourceManager
	gate   *gater
}

// hostConfig is a host as libp2p's own options would make it. They aren't used
// because their package links all of libp2p's transports, of which souk has two:
// the others are 4 MB of each idle node's memory.
func hostConfig(cfg settled, g guards, relays autorelay.PeerSource) (*config.Config, error) {
	peers, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, fmt.Errorf("make the store of peers: %w", err)
	}
	c := &config.Config{
		PeerKey:     cfg.Key,
		UserAgent:   "souk/" + cfg.Version,
		ListenAddrs: cfg.listen,
		Transports:  []fx.Option{provide(quic.NewTransport), provide(tcp.NewTCPTransport)},
		SecurityTransports: []config.Security{
			{ID: tls.ID, Constructor: tls.New}, // first: processors do its ciphers in hardware
			{ID: noise.ID, Constructor: noise.New},
		},
		Muxers:                      []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}},
		Peerstore:                   peers,
		ConnManager:                 g.conns,
		ResourceManager:             g.limits,
		ConnectionGater:             g.gate,
		SwarmOpts:                   []swarm.Option{swarm.WithDialRanker(rankDials)},
		UDPBlackHoleSuccessCounter:  &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5, Name: "UDP"},
		IPv6BlackHoleSuccessCounter: &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5, Name: "IPv6"},
		AddrsFactory:                outerFirst,
		RelayCustom:                 true,
		DisableMetrics:              true,
	}
	if cfg.Loopback {
		stayInside(c)
	} else {
		beFound(c, relays, cfg.ServeRelay)
	}
	return c, nil
}

// provide has libp2p make a transport.
func provide(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.As(new(transport.Transport)), fx.ResultTags(`group:"transport"`)))
}

// stayInside keeps a node in loopback mode from trying to be found.
func stayInside(c *config.Config) {
	public := network.ReachabilityPublic
	c.ForceReachability = &public // so that nobody is asked about it
	c.DisableIdentifyAddressDiscovery = true
	c.MultiaddrResolver = noDNS{}
}

// beFound has what gets a node found behind a NAT.
func beFound(c *config.Config, relays autorelay.PeerSource, serveRelay bool) {
	c.EnableAutoNATv2 = true
	c.Relay = true
	c.EnableAutoRelay, c.AutoRelayOpts = true, []autorelay.Option{autorelay.WithPeerSource(relays)}
	c.EnableHolePunching = true
	c.NATManager = basichost.NewNATManager
	c.EnableRelayService = serveRelay
}
