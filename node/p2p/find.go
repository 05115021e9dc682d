package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// MaxFound is the most peers that one Find yields, and what limit 0 stands for.
const MaxFound = 1024

// Find looks for the providers under several keys at once and yields each peer
// once, as soon as it is heard of, up to limit (0: MaxFound). Left out are this
// node, blocked peers and those that have no business under the key. What
// comes is a hint: the peer may be gone, or never have advertised, and its
// addresses may be none (then Connect asks the DHT for them).
//
// The channel is closed at the end of the search, of ctx or of the node. Whoever
// stops reading early must end ctx.
func (n *Node) Find(ctx context.Context, keys []Key, limit int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo)
	search := newSearch(n, out, limit)
	search.seen[n.ID()] = true
	ctx, cancel := context.WithCancel(ctx)
	search.stop = cancel
	unhook := context.AfterFunc(n.ctx, cancel)
	started := n.tasks.start(func() {
		defer close(out)
		defer cancel()
		defer unhook()
		n.awaitPeers(ctx)
		var wg sync.WaitGroup
		for _, k := range keys {
			wg.Go(func() { search.under(ctx, k) })
		}
		wg.Wait()
	})
	if !started {
		cancel()
		close(out)
	}
	return out
}

// JoinTime is how long after its start a node that knows nobody yet holds its
// searches back: one that is asked to find something in its first moments
// would find nothing.
const JoinTime = 5 * time.Second

// joinLook is how often a young node looks whether it knows anybody yet. Someone waits for it.
const joinLook = 5 * time.Millisecond

// awaitPeers waits for a first peer while the node is young and has somebody
// to wait for.
func (n *Node) awaitPeers(ctx context.Context) {
	if len(n.Bootstrap()) == 0 && n.local == nil {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, n.began.Add(JoinTime))
	defer cancel()
	again := time.NewTicker(joinLook)
	defer again.Stop()
	for len(n.someTablePeers(1)) == 0 {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

type search struct {
	node *Node
	out  chan<- peer.AddrInfo
	stop context.CancelFunc

	mu   sync.Mutex
	left int
	seen map[peer.ID]bool
}

func newSearch(n *Node, out chan<- peer.AddrInfo, limit int) *search {
	if limit <= 0 || limit > MaxFound {
		limit = MaxFound
	}
	return &search{node: n, out: out, left: limit, seen: map[peer.ID]bool{}}
}

func (s *search) under(ctx context.Context, k Key) {
	for found := range s.node.dht.FindProvidersAsync(ctx, k.CID(), 0) { // closed when ctx ends
		if !k.Place().Holds(found.ID) || s.node.gater.isBlocked(found.ID) {
			continue
		}
		yield, last := s.take(found.ID)
		if yield {
			select {
			case s.out <- s.node.believed(found):
			case <-ctx.Done():
			}
		}
		if last {
			s.stop()
		}
	}
}

// take counts a peer in, once, and tells whether it was the last one wanted.
func (s *search) take(id peer.ID) (yield, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[id] || s.left == 0 {
		return false, false
	}
	s.seen[id] = true
	s.left--
	return true, s.left == 0
}
