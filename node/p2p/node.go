package p2p

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

// Node is a running host with its DHT. Its methods may be called from any goroutine.
type Node struct {
	cfg      settled
	host     host.Host
	dht      *dht.IpfsDHT
	gater    *gater
	regulars *regulars
	boot     *bootstrapper
	local    *localPeers // nil without local discovery

	reach reachability
	grown signal // DHT servers came
	began time.Time

	ctx    context.Context //nolint:containedctx // the life of the node
	cancel context.CancelFunc
	tasks  tasks
	once   sync.Once
	closed error
}

// New starts a node. It listens when New returns; bootstraps are joined in the
// background. ctx only bounds the start.
//
// Errors: ErrKeyKind, ErrNetworkName, ErrAddress and ErrPortInUse, each for the
// user to put right.
func New(ctx context.Context, c Config) (*Node, error) {
	cfg, err := c.settle()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, gater: newGater(cfg.Loopback, cfg.Now), regulars: newRegulars(), began: time.Now()}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	relays := &relaySource{}
	var err error
	if n.host = n.cfg.Host; n.host == nil {
		if n.host, err = newHost(ctx, n.cfg, n.gater, n.regulars, relays.candidates); err != nil {
			return err
		}
	}
	if n.dht, err = newDHT(n.cfg, n.host); err != nil {
		return err
	}
	relays.use(n.host, n.tablePeers)
	n.boot = &bootstrapper{
		host: n.host, kad: KadProtocol(n.cfg.Network), resolve: madns.DefaultResolver.Resolve,
		joined: n.refresh, retryMin: n.cfg.RetryMin, retryMax: n.cfg.RetryMax, log: n.cfg.Log,
	}
	n.boot.init(n.cfg.bootstrap)
	watch, err := n.watch()
	if err != nil {
		return err
	}
	n.tasks.start(func() { watch(n.ctx) })
	for i := range n.cfg.bootstrap {
		n.tasks.start(func() { n.boot.run(n.ctx, i) })
	}
	if n.cfg.LocalDiscovery {
		n.local = &localPeers{
			ctx: n.ctx, tasks: &n.tasks, host: n.host, filter: n.believed, joined: n.refresh,
			slots: make(chan struct{}, maxLocalDials), log: n.cfg.Log,
		}
		around := newMDNS(n.cfg.Network, n.ID(), n.host.Network().InterfaceListenAddresses, n.local.heard, n.cfg.Log)
		n.tasks.start(func() { around.run(n.ctx) })
	}
	return nil
}

// Close ends everything the node runs and closes all connections. Advertisers
// and searches end with it.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.cancel()
		var errs []error
		n.tasks.close()
		if n.dht != nil {
			errs = append(errs, n.dht.Close())
		}
		if n.host != nil {
			errs = append(errs, n.host.Close())
		}
		n.closed = errors.Join(errs...)
	})
	return n.closed
}

// Host is the libp2p host, to serve and open streams on.
func (n *Node) Host() host.Host { return n.host }

// ID is the node's peer ID.
func (n *Node) ID() peer.ID { return n.host.ID() }

// Network is the name of the souk network.
func (n *Node) Network() string { return n.cfg.Network }

// Addrs are the node's addresses with its peer ID, as another node's bootstrap
// takes them.
func (n *Node) Addrs() []ma.Multiaddr {
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: n.ID(), Addrs: n.host.Addrs()})
	if err != nil {
		return nil // a host's own ID is always valid
	}
	return addrs
}

// Reachability tells who can connect to this node, as far as is known now.
func (n *Node) Reachability() Reach {
	state, confirmed := n.reach.current()
	if n.cfg.Loopback {
		state, confirmed = ReachLoopback, nil
	}
	return Reach{State: state, Addrs: announced(n.dht.FilteredAddrs(), confirmed)}
}

// ReachChanged is closed at the next change of what Reachability tells. Take
// it before looking.
func (n *Node) ReachChanged() <-chan struct{} { return n.reach.changed.next() }

// Bootstrap tells how it stands with each configured bootstrap but this node itself.
func (n *Node) Bootstrap() []BootstrapState { return n.boot.state() }

// Alone tells that no bootstrap and no other node of the network is
// connected: nobody can find this node.
func (n *Node) Alone() bool {
	up := slices.ContainsFunc(n.Bootstrap(), func(b BootstrapState) bool { return b.Connected })
	return !up && len(n.someTablePeers(1)) == 0
}

// Twin is where another process on the local network has this node's key: an
// IP address, or "this machine". Empty: none was heard of lately.
func (n *Node) Twin() string {
	if n.local == nil {
		return ""
	}
	return n.local.twin.lately()
}

// Protect keeps the connection manager from closing the connection to p until
// Unprotect with the same tag. Peers with leases need it.
func (n *Node) Protect(p peer.ID, tag string) { n.host.ConnManager().Protect(p, tag) }

// Unprotect undoes Protect and tells whether p is still protected by another tag.
func (n *Node) Unprotect(p peer.ID, tag string) bool { return n.host.ConnManager().Unprotect(p, tag) }

// Block refuses the peer for d, both ways, and closes its connections.
func (n *Node) Block(p peer.ID, d time.Duration) {
	n.gater.block(p, d)
	n.dht.RoutingTable().RemovePeer(p)
	if err := n.host.Network().ClosePeer(p); err != nil {
		n.cfg.Log.Debug("close a blocked peer's connections", "peer", p, "err", err)
	}
}

// Connect connects to a peer: at the addresses given or known, and where that
// fails at those that the DHT has; within ConnectTimeout each. The error is
// ErrBlocked, or says in one sentence why not.
func (n *Node) Connect(ctx context.Context, info peer.AddrInfo) error {
	if n.gater.isBlocked(info.ID) {
		return ErrBlocked
	}
	err := n.dial(ctx, info)
	if err == nil || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	if found, lookup := n.dht.FindPeer(ctx, info.ID); lookup == nil {
		return n.dial(ctx, found)
	}
	return err
}

func (n *Node) dial(ctx context.Context, info peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	forgetBackoff(n.host, info.ID)
	if err := n.host.Connect(ctx, n.believed(info)); err != nil {
		return dialReason(err)
	}
	return nil
}

// believed keeps of a peer's addresses those that may lead to it.
func (n *Node) believed(info peer.AddrInfo) peer.AddrInfo {
	return peer.AddrInfo{ID: info.ID, Addrs: addrFilter(n.cfg.Loopback, n.host.Network().InterfaceListenAddresses)(info.Addrs)}
}

// refresh makes the DHT look around after a peer has come.
func (n *Node) refresh() { n.dht.RefreshRoutingTable() }
