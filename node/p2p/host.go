package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// newHost starts the libp2p host. relays names candidates for relaying.
func newHost(ctx context.Context, cfg settled, g *gater, r *regulars, relays autorelay.PeerSource) (host.Host, error) {
	if err := probePorts(ctx, cfg); err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(LowWater, HighWater)
	if err != nil {
		return nil, fmt.Errorf("make the connection manager: %w", err)
	}
	limits, err := newResourceManager(r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the resource manager: %w", err), conns.Close())
	}
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Key),
		libp2p.UserAgent("souk/" + cfg.Version),
		libp2p.ListenAddrs(cfg.listen...),
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(tls.ID, tls.New), // first: processors do its ciphers in hardware
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionGater(g),
		libp2p.SwarmOpts(swarm.WithDialRanker(rankDials)),
		libp2p.AddrsFactory(outerFirst),
		libp2p.DisableMetrics(),
	}
	h, err := libp2p.New(append(opts, reachOptions(cfg, relays)...)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the libp2p host: %w", err), conns.Close(), limits.Close())
	}
	if err := checkListening(cfg, h); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// reachOptions has what gets a node found behind a NAT, or in loopback mode
// what keeps it from trying.
func reachOptions(cfg settled, relays autorelay.PeerSource) []libp2p.Option {
	if cfg.Loopback {
		return []libp2p.Option{
			libp2p.DisableRelay(),
			libp2p.ForceReachabilityPublic(), // so that nobody is asked about it
			libp2p.DisableIdentifyAddressDiscovery(),
			libp2p.MultiaddrResolver(noDNS{}),
		}
	}
	opts := []libp2p.Option{
		libp2p.EnableAutoNATv2(),
		libp2p.EnableRelay(),
		libp2p.EnableAutoRelayWithPeerSource(relays),
		libp2p.EnableHolePunching(),
		libp2p.NATPortMap(),
	}
	if cfg.ServeRelay {
		opts = append(opts, libp2p.EnableRelayService())
	}
	return opts
}

// probePorts finds out which asked-for port is taken. libp2p itself goes on
// while one address works, and shares a TCP port (SO_REUSEPORT) with another
// process of the same user, which would then get half of the connections.
func probePorts(ctx context.Context, cfg settled) error {
	if !cfg.listenExplicit {
		return nil
	}
	for _, a := range cfg.listen {
		err := probe(ctx, a)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("%w: %s is taken by another program, or by another node; listen on another port, or on 0 for any free one", ErrPortInUse, a)
		case err != nil:
			return fmt.Errorf("%w: can't listen on %s: %w", ErrAddress, a, err)
		}
	}
	return nil
}

func probe(ctx context.Context, a ma.Multiaddr) error {
	network, address, err := manet.DialArgs(a[:2]) // without /quic-v1
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
		l, err := lc.Listen(ctx, network, address)
		if err != nil {
			return err
		}
		return l.Close()
	}
	c, err := lc.ListenPacket(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

// checkListening makes sure that each address that was asked for is served.
func checkListening(cfg settled, h host.Host) error {
	if !cfg.listenExplicit {
		return nil
	}
	if got, want := len(h.Network().ListenAddresses()), len(cfg.listen); got < want {
		return fmt.Errorf("%w: only %d of the %d addresses %s can be listened on at the same time", ErrAddress, got, want, cfg.listen)
	}
	return nil
}
