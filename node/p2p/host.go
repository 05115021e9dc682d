package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
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
	c, err := hostConfig(cfg, guards{conns: conns, limits: limits, gate: g}, relays)
	if err != nil {
		return nil, errors.Join(err, conns.Close(), limits.Close())
	}
	h, err := c.NewNode()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the libp2p host: %w", err), conns.Close(), limits.Close())
	}
	if err := checkListening(cfg, h); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
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
