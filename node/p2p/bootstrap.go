package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ConnectTimeout bounds one attempt to connect to a peer, name look-up included.
const ConnectTimeout = 15 * time.Second

// maxResolved is the most nodes that one /dnsaddr name may stand for.
const maxResolved = 8

const bootstrapTag = "souk/bootstrap"

var (
	errNotOfNetwork = errors.New("it answers, but serves no DHT for this network: it is in another network, or can't be reached itself")
	errLost         = errors.New("the connection was lost")
	errNoPeers      = errors.New("the name stands for no address with a peer ID")
)

// BootstrapState is how it stands with one bootstrap address.
type BootstrapState struct {
	Addr      string // as configured
	Connected bool
	LastError error // why the last attempt failed; nil before it and once connected
}

type bootstrapTarget struct {
	text string
	addr ma.Multiaddr
	id   peer.ID // empty where only a name's look-up will tell
}

func readBootstrap(addrs []string, own crypto.PrivKey, loopback bool) ([]bootstrapTarget, error) {
	self, err := peer.IDFromPrivateKey(own)
	if err != nil {
		return nil, fmt.Errorf("%w: no peer ID can be made of it: %w", ErrKeyKind, err)
	}
	var out []bootstrapTarget
	for _, text := range addrs {
		t, err := readTarget(text, loopback)
		if err != nil {
			return nil, err
		}
		if t.id != self {
			out = append(out, t)
		}
	}
	return out, nil
}

func readTarget(text string, loopback bool) (bootstrapTarget, error) {
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return bootstrapTarget{}, fmt.Errorf("%w: bootstrap %q is no multiaddr (like /ip4/192.0.2.1/tcp/4001/p2p/16Uiu2…): %w", ErrAddress, text, err)
	}
	if loopback && !manet.IsIPLoopback(a) {
		return bootstrapTarget{}, fmt.Errorf("%w: bootstrap %q is not on loopback, where a testnet stays", ErrAddress, text)
	}
	_, id := peer.SplitAddr(a)
	if _, err := a.ValueForProtocol(ma.P_DNSADDR); err != nil && id == "" {
		return bootstrapTarget{}, fmt.Errorf("%w: bootstrap %q must end in /p2p/<peer ID>", ErrAddress, text)
	}
	return bootstrapTarget{text: text, addr: a, id: id}, nil
}

// bootstrapper keeps connections to the configured bootstraps.
type bootstrapper struct {
	host               host.Host
	kad                protocol.ID
	resolve            func(context.Context, ma.Multiaddr) ([]ma.Multiaddr, error)
	joined             func() // called after each success
	retryMin, retryMax time.Duration
	log                *slog.Logger
	targets            []bootstrapTarget
	stirred            []chan struct{} // poked when any peer came or went

	mu     sync.Mutex
	states []BootstrapState
}

func (b *bootstrapper) init(targets []bootstrapTarget) {
	b.targets = targets
	for _, t := range targets {
		b.states = append(b.states, BootstrapState{Addr: t.text})
		b.stirred = append(b.stirred, make(chan struct{}, 1))
	}
}

// stir makes every loop look again whether its peers are still there.
func (b *bootstrapper) stir() {
	for _, c := range b.stirred {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (b *bootstrapper) state() []BootstrapState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.states)
}

func (b *bootstrapper) set(i int, connected bool, err error) {
	b.mu.Lock()
	b.states[i].Connected, b.states[i].LastError = connected, err
	b.mu.Unlock()
	if err != nil {
		b.log.Info("bootstrap unreachable, still trying", "addr", b.targets[i].text, "reason", err)
	}
}

// run keeps the connection to target i until ctx ends.
func (b *bootstrapper) run(ctx context.Context, i int) {
	pause := b.retryMin
	for ctx.Err() == nil {
		start := time.Now()
		id, err := b.join(ctx, b.targets[i])
		if ctx.Err() != nil {
			return
		}
		b.set(i, err == nil, err)
		if err == nil {
			b.joined()
			b.hold(ctx, i, id)
			if ctx.Err() == nil {
				b.set(i, false, errLost)
			}
		}
		if err == nil && time.Since(start) > b.retryMax {
			pause = b.retryMin // it held for long: this is a new trouble
		}
		sleep(ctx, jitter(pause))
		pause = min(2*pause, b.retryMax)
	}
}

// hold returns when the peer is gone or ctx has ended.
func (b *bootstrapper) hold(ctx context.Context, i int, id peer.ID) {
	b.host.ConnManager().Protect(id, bootstrapTag)
	defer b.host.ConnManager().Unprotect(id, bootstrapTag)
	for connected(b.host, id) {
		select {
		case <-b.stirred[i]:
		case <-ctx.Done():
			return
		}
	}
}

// join connects to a target, or to the first of those that its name stands for.
func (b *bootstrapper) join(ctx context.Context, t bootstrapTarget) (peer.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	infos, err := b.peersOf(ctx, t)
	if err != nil {
		return "", err
	}
	for _, info := range infos {
		if err = b.try(ctx, info); err == nil {
			return info.ID, nil
		}
	}
	return "", err
}

func (b *bootstrapper) try(ctx context.Context, info peer.AddrInfo) error {
	forgetBackoff(b.host, info.ID)
	if err := b.host.Connect(ctx, info); err != nil {
		return dialReason(err)
	}
	served, err := b.host.Peerstore().SupportsProtocols(info.ID, b.kad)
	if err != nil || len(served) == 0 {
		return errNotOfNetwork
	}
	return nil
}

func (b *bootstrapper) peersOf(ctx context.Context, t bootstrapTarget) ([]peer.AddrInfo, error) {
	addrs := []ma.Multiaddr{t.addr}
	if t.id == "" {
		var err error
		if addrs, err = b.resolve(ctx, t.addr); err != nil {
			return nil, fmt.Errorf("look up the name: %w", err)
		}
	}
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool {
		_, id := peer.SplitAddr(a)
		return id == "" || id == b.host.ID()
	})
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil || len(infos) == 0 {
		return nil, errors.Join(errNoPeers, err)
	}
	return infos[:min(len(infos), maxResolved)], nil
}

func connected(h host.Host, id peer.ID) bool {
	c := h.Network().Connectedness(id)
	return c == network.Connected || c == network.Limited
}

// jitter is d ± 20 %.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreads load, keeps no secret
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
