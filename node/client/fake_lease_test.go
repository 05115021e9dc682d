package client_test

import (
	"cmp"
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

func (f *fake) Accept(_ context.Context, client peer.ID, a lease.Accepted) (market.Signature, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepts++
	if a.Voucher != nil && f.script.refuseAccept != "" {
		f.keepVoucher(&pb.Voucher{Voucher: a.Voucher.Encode(), Signature: a.VoucherSignature[:]})
	}
	if f.script.refuseAccept != "" {
		return market.Signature{}, wire.Refuse(f.script.refuseAccept, "not today")
	}
	if err := f.covered(a); err != nil {
		return market.Signature{}, err
	}
	if f.accepts <= f.script.hurried {
		return market.Signature{}, wire.Refuse(cmp.Or(f.script.hurry, wire.RateLimited), "slower")
	}
	if f.accepts <= f.script.loseAccepts {
		return market.Signature{}, context.Canceled // the dispatcher resets the stream
	}
	if f.void[a.Quote.Hash()] {
		return market.Signature{}, wire.Refuse(wire.Void, "voided")
	}
	h := a.Lease.Hash()
	if f.leases[h] == nil {
		sig, err := f.signer.Sign(f.chain.Digest(h))
		if err != nil {
			return sig, err
		}
		f.leases[h] = &fakeLease{client: client, a: a, sig: sig, counter: map[uint32][]byte{}}
		if a.Voucher != nil {
			f.keepVoucher(&pb.Voucher{Voucher: a.Voucher.Encode(), Signature: a.VoucherSignature[:]})
		}
	}
	if f.accepts <= f.script.loseAnswers {
		return market.Signature{}, context.Canceled
	}
	return f.leases[h].sig, nil
}

// keepVoucher keeps the highest voucher and notes one that fell. mu is held.
func (f *fake) keepVoucher(m *pb.Voucher) {
	v, err := market.DecodeVoucher(m.GetVoucher())
	if err != nil {
		f.t.Errorf("voucher: %v", err)
		return
	}
	f.fell = f.fell || v.Max.Less(f.highest)
	if !v.Max.Less(f.highest) {
		f.highest, f.voucher = v.Max, m
	}
}

func (f *fake) LeaseStatus(_ context.Context, _ peer.ID, q market.Quote, _ market.Signature) (*pb.LeaseStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses++
	for _, l := range f.leases {
		if l.a.Quote.Hash() == q.Hash() {
			return &pb.LeaseStatus{State: string(market.Agreed), Documents: l.documents()}, nil
		}
	}
	f.void[q.Hash()] = true
	return &pb.LeaseStatus{State: status.Void}, nil
}

func (l *fakeLease) documents() *pb.LeaseDocuments {
	d := &pb.LeaseDocuments{
		Quote: l.a.Block, QuoteSignature: l.a.Signature[:], Terms: l.a.TermBlock, Lease: l.a.LeaseBlock, ClientSignature: l.a.ClientSignature[:],
		ProviderSignature: l.sig[:], Job: l.a.JobBlock,
	}
	if n := len(l.receipts); n > 0 {
		last := l.receipts[n-1]
		d.Receipt = &pb.Receipt{Receipt: last.GetReceipt(), ProviderSignature: last.GetProviderSignature(), Body: last.GetBody(), ClientSignature: l.counter[uint32(n)]}
	}
	return d
}

func (f *fake) ChannelStatus(_ context.Context, _ peer.ID, channel market.Hash, _ status.BootID, _ uint64) (*pb.ChannelStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hidden {
		return nil, wire.Refuse(wire.ShuttingDown, "nobody is here")
	}
	if f.script.unreconciled != nil {
		return nil, f.script.unreconciled
	}
	st := &pb.ChannelStatus{BootId: f.boot[:], Voucher: f.voucher}
	for _, l := range f.leases {
		if l.a.Quote.Channel == channel {
			d := l.documents()
			if n := len(l.receipts); f.script.sly && n > 1 {
				r := l.receipts[n-2]
				d.Receipt = &pb.Receipt{Receipt: r.GetReceipt(), ProviderSignature: r.GetProviderSignature(), Body: r.GetBody()}
			}
			st.Leases = append(st.Leases, d)
		}
	}
	return st, nil
}
