package wire

import (
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"

	"souk/internal/cache"
)

// maxRemembered is the most peers whose manners are kept in mind at once.
const maxRemembered = 4096

// manners remembers how each peer behaved lately, in bounded memory.
type manners struct {
	*Faults
	mu   sync.Mutex
	asks *lru.Cache[asker, *rate.Limiter]
}

// Faults counts each peer's malformed messages, in bounded memory.
type Faults struct {
	mu sync.Mutex
	of *lru.Cache[peer.ID, *rate.Limiter]
}

// NewFaults knows of no faults yet.
func NewFaults() *Faults { return &Faults{of: newLRU[peer.ID]()} }

// Misbehaved counts a malformed message and tells whether the peer has now
// sent more than MalformedBeforeBlock of them that are not forgotten yet.
func (f *Faults) Misbehaved(p peer.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.of.Get(p)
	if !ok {
		l = rate.NewLimiter(rate.Limit(MalformedBeforeBlock/BlockWindow.Seconds()), MalformedBeforeBlock)
		f.of.Add(p, l)
	}
	return !l.Allow()
}

type asker struct {
	peer     peer.ID
	protocol protocol.ID
	regular  bool
}

func newManners() *manners {
	return &manners{
		Faults: NewFaults(),
		asks:   newLRU[asker](),
	}
}

// mayAsk counts a stream, and tells whether there were too many and what would
// be right: so many a second.
func (m *manners) mayAsk(p peer.ID, id protocol.ID, regular bool) (most int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	times, key := 1, asker{p, id, regular}
	if regular {
		times = RegularAsks
	}
	l, known := m.asks.Get(key)
	if !known {
		l = rate.NewLimiter(rate.Limit(times*AsksPerSecond), times*AsksBurst)
		m.asks.Add(key, l)
	}
	return times * AsksPerSecond, l.Allow()
}

func newLRU[K comparable]() *lru.Cache[K, *rate.Limiter] {
	return cache.New[K, *rate.Limiter](maxRemembered)
}
