package main

import (
	"context"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// find gives a client's lease, or nil.
func (s *shop) find(h market.Hash, client peer.ID) *rented {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases[h]; l != nil && l.client == client {
		return l
	}
	return nil
}

// Source gives the made-up outputs, or doesn't.
func (s *shop) Source(ctx context.Context, client peer.ID, h market.Hash, root cid.Cid, skip int) (blob.Source, error) {
	l := s.find(h, client)
	if l == nil || !root.Equals(l.results.root) {
		return nil, wire.Refuse(wire.Unknown, "%s isn't what a lease brings back", root)
	}
	if l.cheat.serve != nil {
		return l.cheat.serve(ctx, l, skip)
	}
	l.say("serving the outputs %s: random bytes", root)
	return l.whole(skip), nil
}

// Sink takes inputs and forgets them.
func (s *shop) Sink(_ context.Context, client peer.ID, h market.Hash, root cid.Cid) (blob.Sink, error) {
	l := s.find(h, client)
	if l == nil {
		return nil, wire.Refuse(wire.Unknown, "no such lease")
	}
	return &drain{l: l, root: root}, nil
}

// drain is a sink without a bottom. It trusts the client to know the end.
type drain struct {
	l      *rented
	root   cid.Cid
	bytes  int
	blocks int
	whole  bool
}

func (d *drain) Skip() int { return 0 }

func (d *drain) Accept(block []byte) error {
	d.bytes += len(block)
	d.blocks++
	return nil
}

// Complete is asked before the first block, and then only at the client's end.
func (d *drain) Complete() bool {
	d.whole = d.blocks > 0
	return d.whole
}

func (d *drain) Close() error {
	if d.whole {
		d.l.say("took %d bytes of input %s", d.bytes, d.root)
		d.l.change(func() { delete(d.l.missing, d.root) })
	}
	return nil
}

// countersigned keeps the client's voucher and says thanks.
func (l *rented) countersigned(st *wire.Stream, m *pb.Countersign) error {
	if m.GetVoucher() != nil {
		parties := lease.Parties{Chain: l.shop.chain, Provider: l.shop.signer.Address(), Client: l.a.Quote.Client}
		v, sig, err := lease.ReadVoucher(m.GetVoucher(), parties, l.a.Quote.Channel)
		if err != nil {
			return wire.Refuse(wire.BadVoucher, "that voucher is none of this channel")
		}
		l.shop.mu.Lock()
		l.shop.keepVoucher(v, sig)
		l.shop.mu.Unlock()
		l.say("the client countersigned receipt %d and allows %s in all", m.GetSeq(), usd(v.Max))
	} else {
		l.say("the client countersigned receipt %d", m.GetSeq())
	}
	l.change(func() {
		if l.newest.Outcome != market.NotEnded && m.GetSeq() == l.newest.Seq {
			l.state = market.Closed
		}
	})
	return st.Write(&pb.RunEvent{Event: &pb.RunEvent_Settled{Settled: &pb.Settled{Seq: m.GetSeq()}}})
}

// keepVoucher keeps the highest voucher of a channel. s.mu is held.
func (s *shop) keepVoucher(v market.Voucher, sig market.Signature) {
	if s.vouchers[v.Channel] == nil || s.highest[v.Channel].Less(v.Max) {
		s.vouchers[v.Channel], s.highest[v.Channel] = &pb.Voucher{Voucher: v.Encode(), Signature: sig[:]}, v.Max
	}
}

// LeaseStatus answers as an honest provider does.
func (s *shop) LeaseStatus(_ context.Context, asker peer.ID, q market.Quote, sig market.Signature) (*pb.LeaseStatus, error) {
	client, err := market.AddressOf(asker)
	if err != nil || q.Client != client || sig.Verify(s.chain.Digest(q.Hash()), s.signer.Address()) != nil {
		return nil, wire.Refuse(wire.Unknown, "that is no quote of this provider for this peer")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.byQuote[q.Hash()]; l != nil {
		d, state := l.documents()
		return &pb.LeaseStatus{State: string(state), Documents: d}, nil
	}
	if len(s.void) >= maxVoid {
		clear(s.void)
	}
	s.void[q.Hash()] = true
	return &pb.LeaseStatus{State: status.Void}, nil
}

// ChannelStatus answers as an honest provider does, in one page.
func (s *shop) ChannelStatus(_ context.Context, asker peer.ID, channel market.Hash, _ status.BootID, _ uint64) (*pb.ChannelStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &pb.ChannelStatus{BootId: s.boot[:]}
	size := 0
	for _, l := range s.leases {
		if l.client != asker || l.a.Quote.Channel != channel || size > status.MaxPage/2 {
			continue
		}
		d, _ := l.documents()
		answer.Leases = append(answer.Leases, d)
		answer.Voucher = s.vouchers[channel]
		size += len(d.GetTerms()) + len(d.GetJob()) + 2048
	}
	return answer, nil
}

// documents is the lease with its newest receipt.
func (l *rented) documents() (*pb.LeaseDocuments, market.State) {
	d := &pb.LeaseDocuments{
		Quote: l.a.Block, QuoteSignature: l.a.Signature[:], Terms: l.a.TermBlock, Lease: l.a.LeaseBlock,
		ClientSignature: l.a.ClientSignature[:], ProviderSignature: l.signature[:], Job: l.a.JobBlock,
	}
	var state market.State
	l.look(func() {
		state = l.state
		if len(l.sent) > 0 {
			d.Receipt = l.sent[len(l.sent)-1].wire
		}
	})
	return d, state
}
