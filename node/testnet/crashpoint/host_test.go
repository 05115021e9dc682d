package crashpoint_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"souk/node/p2p"
)

var errUnreachable = errors.New("no such host is up")

// web is the network that the hosts are on.
type web struct {
	mu     sync.Mutex
	hosts  map[peer.ID]*memHost
	apart  peer.ID // whom nobody reaches, and who reaches nobody
	meddle meddler
}

// reach is the host that one peer reaches of another.
func (w *web) reach(from, to peer.ID) *memHost {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.apart != "" && (from == w.apart || to == w.apart) {
		return nil
	}
	return w.hosts[to]
}

// memHost is what souk uses of a libp2p host, with streams in memory. Each
// message on them is a point of its node's fate.
type memHost struct {
	host.Host // nil: of nothing else is use made
	web       *web
	id        peer.ID
	fate      *fate
	said      func(proto.Message) // told every message that goes out

	mu       sync.Mutex
	closed   bool
	handlers map[protocol.ID]network.StreamHandler
	streams  map[*memStream]struct{}
}

func (w *web) join(id peer.ID, f *fate, said func(proto.Message)) *memHost {
	h := &memHost{web: w, id: id, fate: f, said: said, handlers: map[protocol.ID]network.StreamHandler{}, streams: map[*memStream]struct{}{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[id] = h
	return h
}

// leave breaks every stream off. What was sent before still arrives.
func (h *memHost) leave() {
	h.web.mu.Lock()
	if h.web.hosts[h.id] == h {
		delete(h.web.hosts, h.id)
	}
	h.web.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.breakOffLocked()
}

func (h *memHost) breakOffLocked() {
	for s := range h.streams {
		s.out.finish(errRemoteReset)
		s.in.drop(errReset)
	}
}

func (h *memHost) ID() peer.ID { return h.id }
func (h *memHost) Addrs() []ma.Multiaddr {
	return []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}
}
func (h *memHost) Peerstore() peerstore.Peerstore { return noAddrs{} }
func (h *memHost) Network() network.Network       { return memNetwork{h: h} }

func (h *memHost) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handlers[id] = handle
}

func (h *memHost) RemoveStreamHandler(id protocol.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.handlers, id)
}

func (h *memHost) handler(id protocol.ID) network.StreamHandler {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.handlers[id]
}

func (h *memHost) Connect(_ context.Context, info peer.AddrInfo) error {
	if h.fate.isDead() || h.web.reach(h.id, info.ID) == nil {
		return errUnreachable
	}
	return nil
}

func (h *memHost) NewStream(_ context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	there := h.web.reach(h.id, p)
	if h.fate.isDead() || there == nil || there.fate.isDead() {
		return nil, errUnreachable
	}
	handle := there.handler(ids[0])
	if handle == nil {
		return nil, errors.New("protocol not supported")
	}
	one, other := newPipe(), newPipe()
	mine := &memStream{host: h, remote: p, id: ids[0], asks: true, in: one, out: other}
	its := &memStream{host: there, remote: h.id, id: ids[0], in: other, out: one}
	if !h.hold(mine) || !there.hold(its) {
		return nil, errUnreachable
	}
	go handle(its)
	return mine, nil
}

func (h *memHost) hold(s *memStream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.streams[s] = struct{}{}
	}
	return !h.closed
}

func (h *memHost) forget(s *memStream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

// noAddrs is a peerstore that knows nobody; the finder does.
type noAddrs struct{ peerstore.Peerstore }

func (noAddrs) Addrs(peer.ID) []ma.Multiaddr                    { return nil }
func (noAddrs) AddAddrs(peer.ID, []ma.Multiaddr, time.Duration) {}

type memNetwork struct {
	network.Network
	h *memHost
}

func (n memNetwork) ConnsToPeer(peer.ID) []network.Conn { return nil }

func (n memNetwork) Connectedness(p peer.ID) network.Connectedness {
	if n.h.web.reach(n.h.id, p) == nil {
		return network.NotConnected
	}
	return network.Connected
}

// finder knows the providers.
type finder struct {
	host *memHost
	all  []peer.ID
}

func (f finder) Find(context.Context, []p2p.Key, int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo, len(f.all))
	for _, p := range f.all {
		out <- peer.AddrInfo{ID: p}
	}
	close(out)
	return out
}

func (f finder) Connect(ctx context.Context, info peer.AddrInfo) error {
	return f.host.Connect(ctx, info)
}
