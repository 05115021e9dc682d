package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
)

// Handler answers one stream. The error it returns decides what becomes of
// the stream and the peer: a *Refusal is sent, ErrMalformed is counted
// against the peer, a *BlockError blocks it, ErrSlow, io.EOF and
// context.Canceled reset the stream, and anything else is told to the peer as
// a fault of this node, without its text.
type Handler func(ctx context.Context, s *Stream) error

// Peers is what a node knows of its peers, and does with them.
type Peers interface {
	// Block refuses a peer's connections for a while.
	Block(p peer.ID, d time.Duration)
	// IsRegular tells a peer that this node trades with from a stranger.
	IsRegular(p peer.ID) bool
}

// Strangers are the Peers of a node that blocks nobody and trades with nobody.
type Strangers struct{}

// Block implements Peers.
func (Strangers) Block(peer.ID, time.Duration) {}

// IsRegular implements Peers.
func (Strangers) IsRegular(peer.ID) bool { return false }

// Dispatcher stands in front of every handler: it takes a slot in the
// service's resource scope, applies the rate limit, keeps room for streams whose
// first frame comes at once, and turns the handler's error into an action.
type Dispatcher struct {
	host    host.Host
	peers   Peers
	log     *slog.Logger
	manners *manners

	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // orders Close against new streams
	closed bool
	wg     sync.WaitGroup
	ids    []protocol.ID
}

// NewDispatcher makes a dispatcher whose handlers live until Close.
func NewDispatcher(h host.Host, p Peers, log *slog.Logger) *Dispatcher {
	ctx, cancel := context.WithCancel(context.Background())
	return &Dispatcher{host: h, peers: p, log: log, manners: newManners(), ctx: ctx, cancel: cancel}
}

// Handle serves a protocol. refuse wraps a refusal in the protocol's answer.
func (d *Dispatcher) Handle(id protocol.ID, refuse func(*pb.Refusal) proto.Message, handle Handler) {
	d.ids = append(d.ids, id)
	var door doorway
	d.host.SetStreamHandler(id, func(raw network.Stream) {
		if !d.enter() {
			_ = raw.Reset()
			return
		}
		defer d.wg.Done()
		d.serve(id, raw, &door, refuse, handle)
	})
}

func (d *Dispatcher) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.wg.Add(1)
	return true
}

func (d *Dispatcher) serve(id protocol.ID, raw network.Stream, door *doorway, refuse func(*pb.Refusal) proto.Message, handle Handler) {
	if err := raw.Scope().SetService(string(id)); err != nil {
		_ = raw.ResetWithError(network.StreamResourceLimitExceeded) // no slot: the peer or the service has as many streams as it may
		return
	}
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	s := NewStream(ctx, raw)
	err := d.admit(id, s)
	if err == nil {
		s.begun = sync.OnceFunc(func() { door.leave(s) })
		door.enter(s)
		err = d.guard(handle, ctx, s)
		s.begun()
	}
	d.settle(id, s, refuse, err)
}

func (d *Dispatcher) admit(id protocol.ID, s *Stream) error {
	if !Relayed(id) && s.Limited() {
		return Refuse(BadRequest, "%s needs a direct connection, this one goes through a relay", id)
	}
	if most, ok := d.manners.mayAsk(s.Peer(), id, d.peers.IsRegular(s.Peer())); !ok {
		return Refuse(RateLimited, "more than %d questions a second", most).After(time.Second)
	}
	return nil
}

// guard keeps a handler's panic from ending the node.
func (d *Dispatcher) guard(handle Handler, ctx context.Context, s *Stream) (err error) { //nolint:revive // the handler's own argument order
	defer func() {
		if r := recover(); r != nil {
			d.log.Error("handler panicked", "peer", s.Peer(), "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("handler panicked: %v", r)
		}
	}()
	return handle(ctx, s)
}

// settle turns a handler's error into what happens to the stream and the peer.
func (d *Dispatcher) settle(id protocol.ID, s *Stream, refuse func(*pb.Refusal) proto.Message, err error) {
	var block *BlockError
	var refusal *Refusal
	switch {
	case err == nil:
		_ = s.Close()
	case errors.As(err, &block):
		s.Reset()
		d.block(s.Peer(), block.For, err)
	case errors.Is(err, ErrMalformed):
		if d.manners.Misbehaved(s.Peer()) {
			d.block(s.Peer(), BlockFor, err) // before it can send more
			s.Reset()
			return
		}
		d.send(s, refuse(Refuse(BadRequest, "%v", err).Proto()))
	case errors.As(err, &refusal):
		d.send(s, refuse(refusal.Proto()))
	case errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.Is(err, ErrSlow):
		s.Reset()
	default:
		d.log.Debug("stream ended", "protocol", id, "peer", s.Peer(), "err", err)
		d.send(s, refuse(AsRefusal(err).Proto()))
	}
}

func (d *Dispatcher) send(s *Stream, m proto.Message) {
	if s.Write(m) != nil {
		s.Reset()
		return
	}
	_ = s.Close()
}

func (d *Dispatcher) block(p peer.ID, dur time.Duration, why error) {
	d.log.Warn("peer blocked", "peer", p, "for", dur, "why", why)
	d.peers.Block(p, dur)
}

// Close takes the handlers away, resets what is open and waits for it.
func (d *Dispatcher) Close() {
	for _, id := range d.ids {
		d.host.RemoveStreamHandler(id)
	}
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
}
