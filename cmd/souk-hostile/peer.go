package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/records"
)

const (
	recordValidity = 90 * time.Minute // as DESIGN §7 has it
	dialTimeout    = 10 * time.Second
	dialAgain      = time.Second
)

// newHost starts a plain host that asks nobody about itself.
func newHost(key crypto.PrivKey, listen ...string) (host.Host, error) {
	opts := []libp2p.Option{
		libp2p.Identity(key), libp2p.UserAgent("souk-hostile"), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ForceReachabilityPublic(), libp2p.DisableIdentifyAddressDiscovery(),
	}
	if len(listen) == 0 {
		opts = append(opts, libp2p.NoListenAddrs)
	} else {
		opts = append(opts, libp2p.ListenAddrStrings(listen...))
	}
	return libp2p.New(opts...)
}

// newDHT makes the host a server of the network's DHT.
func newDHT(h host.Host, network string) (*dht.IpfsDHT, error) {
	return dht.New(h, dht.ProtocolPrefix(protocol.ID("/souk/"+network)), dht.Mode(dht.ModeServer), dht.DisableValues(),
		dht.ProviderManagerOpts(records.ProvideValidity(recordValidity), records.ProviderAddrTTL(recordValidity)))
}

// peersOf reads addresses that end in /p2p/PEER, separated by commas.
func peersOf(text string) ([]peer.AddrInfo, error) {
	var out []peer.AddrInfo
	for a := range strings.SplitSeq(text, ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		info, err := peer.AddrInfoFromString(a)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w; it must look like /ip4/127.0.0.1/tcp/4001/p2p/16Uiu2…", a, err)
		}
		out = append(out, *info)
	}
	return out, nil
}

// join connects to one of the peers, trying until ctx ends.
func join(ctx context.Context, h host.Host, peers []peer.AddrInfo) error {
	for len(peers) > 0 {
		var failed error
		for _, p := range peers {
			dial, cancel := context.WithTimeout(ctx, dialTimeout)
			err := h.Connect(dial, p)
			cancel()
			if err == nil {
				return nil
			}
			failed = errors.Join(failed, err)
		}
		if !wait(ctx, dialAgain) {
			return failed
		}
	}
	return nil
}

// wait returns after d, or with false when ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
