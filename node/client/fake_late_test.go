package client_test

import (
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// hides tells that the provider can't be reached from now on, as the script says.
func (f *fake) hides(seq int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden = f.hidden || f.script.hideAfter > 0 && seq > f.script.hideAfter && !f.appeared
	return f.hidden
}

// hide takes no attach from now on, until it appears again.
func (f *fake) hide() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden = true
}

// appear makes it reachable again, for good.
func (f *fake) appear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden, f.appeared = false, true
}

// tickAlone signs the second receipt of its first lease while nobody is attached.
func (f *fake) tickAlone() { f.receipt(f.first(), 2, market.NotEnded, nil) }

// endAlone signs the last receipt of its first lease while nobody is attached.
func (f *fake) endAlone() { f.last(f.first()) }

func (f *fake) first() (first *fakeLease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.leases {
		first = l
	}
	return first
}

// ended tells that the last receipt is signed. The fake's mu is held.
func (l *fakeLease) ended() bool {
	if len(l.receipts) == 0 {
		return false
	}
	r, _ := market.DecodeReceipt(l.receipts[len(l.receipts)-1].GetReceipt())
	return r.Outcome != market.NotEnded
}

// covered refuses a lease as a strict provider does. mu is held.
func (f *fake) covered(a lease.Accepted) error {
	need := a.Quote.TickPrice
	for _, l := range f.leases {
		if n := len(l.receipts); n > 0 {
			r, _ := market.DecodeReceipt(l.receipts[n-1].GetReceipt())
			need = need.Add(r.Charged)
		}
	}
	if f.script.strict && (a.Voucher == nil || a.Voucher.Max.Less(need)) {
		return wire.Refuse(wire.BadVoucher, "the voucher doesn't cover what is signed")
	}
	return nil
}
