package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/blob"
	"souk/protocol/challenge"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// strict is a provider that keeps to the rules about vouchers, which a shop
// doesn't care for.
type strict struct{ *shop }

func (s strict) Accept(ctx context.Context, client peer.ID, a lease.Accepted) (market.Signature, error) {
	if a.Voucher.Max.Less(enough(a.Quoted)) {
		return market.Signature{}, wire.Refuse(wire.BadVoucher, "the voucher is too low").Near("a voucher of %s", enough(a.Quoted))
	}
	return s.shop.Accept(ctx, client, a)
}

// unwilling proves nothing to anybody.
type unwilling struct{ challenge.Prover }

// blocker shuts peers out for good.
type blocker struct {
	wire.Strangers
	s  *shop
	mu sync.Mutex
	is map[peer.ID]bool
}

func (b *blocker) Block(p peer.ID, _ time.Duration) {
	b.mu.Lock()
	b.is[p] = true
	b.mu.Unlock()
	_ = b.s.host.Network().ClosePeer(p)
}

func (b *blocker) connected(_ network.Network, c network.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.is[c.RemotePeer()] {
		_ = c.Close()
	}
}

// newStrict is a shop behind the dispatcher of an honest provider.
func newStrict(t *testing.T, c cheat) *shop {
	s, _ := newShop(t, c)
	s.dispatcher.Close()
	b := &blocker{s: s, is: make(map[peer.ID]bool)}
	s.host.Network().Notify(&network.NotifyBundle{ConnectedF: b.connected})
	s.dispatcher = wire.NewDispatcher(s.host, b, slog.New(slog.DiscardHandler))
	offer.Serve(s.dispatcher, testNetwork, s)
	lease.Serve(s.dispatcher, s.chain, s.signer.Address(), strict{s})
	status.Serve(s.dispatcher, s)
	challenge.Serve(s.dispatcher, testNetwork, s.host.ID(), unwilling{})
	blob.Serve(s.dispatcher, s)
	refuse := func(r *pb.Refusal) proto.Message { return &pb.RunEvent{Event: &pb.RunEvent_Refusal{Refusal: r}} }
	s.dispatcher.Handle(wire.RunProtocol, refuse, func(ctx context.Context, st *wire.Stream) error {
		return s.serveAttach(ctx, st, nil)
	})
	return s
}
