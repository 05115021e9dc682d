package p2p

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
)

// tableLook is how often the routing table is looked at for new peers; the
// DHT has no event for it. It bounds how late a fresh network learns of a provider.
const tableLook = 200 * time.Millisecond

// watch follows the host's events and the routing table until ctx ends.
func (n *Node) watch() (func(context.Context), error) {
	sub, err := n.host.EventBus().Subscribe([]any{
		new(event.EvtLocalReachabilityChanged),
		new(event.EvtHostReachableAddrsChanged),
		new(event.EvtLocalAddressesUpdated),
		new(event.EvtPeerConnectednessChanged),
	})
	if err != nil {
		return nil, fmt.Errorf("follow the host's events: %w", err)
	}
	return func(ctx context.Context) {
		defer func() { _ = sub.Close() }()
		tick := time.NewTicker(tableLook)
		defer tick.Stop()
		var known map[peer.ID]bool
		for {
			select {
			case e := <-sub.Out():
				n.handle(e)
			case <-tick.C:
				known = n.lookAtTable(known)
			case <-ctx.Done():
				return
			}
		}
	}, nil
}

func (n *Node) handle(e any) {
	switch e := e.(type) {
	case event.EvtLocalReachabilityChanged:
		n.reach.update(func(r *reachability) { r.state = e.Reachability })
	case event.EvtHostReachableAddrsChanged:
		n.reach.update(func(r *reachability) { r.confirmed = e.Reachable })
	case event.EvtLocalAddressesUpdated:
		n.reach.update(func(*reachability) {})
	case event.EvtPeerConnectednessChanged:
		n.boot.stir()
	}
}

// lookAtTable fires grown when a DHT server is there that wasn't before (or
// was away, and may have forgotten what it was told). That matters only while
// the network is small: with a full bucket of others the keys are safe.
//
// So it looks for no more than that many: there may be hundreds, and asking
// about each of them five times a second would be most of what an idle node does.
func (n *Node) lookAtTable(known map[peer.ID]bool) map[peer.ID]bool {
	full := n.dht.BucketSize()
	now := n.someTablePeers(full + 1)
	fresh := false
	for p := range now {
		fresh = fresh || !known[p]
	}
	if fresh && (len(known) == 0 || len(now) <= full) {
		n.grown.fire()
	}
	return now
}

// tablePeers are the peers of the routing table that are connected now.
func (n *Node) tablePeers() map[peer.ID]bool {
	return n.someTablePeers(math.MaxInt)
}

// someTablePeers are at most most of them.
func (n *Node) someTablePeers(most int) map[peer.ID]bool {
	out := make(map[peer.ID]bool)
	for _, p := range n.dht.RoutingTable().ListPeers() {
		if len(out) >= most {
			break
		}
		if connected(n.host, p) {
			out[p] = true
		}
	}
	return out
}
