package provider

import (
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/money"
	"souk/node/books"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// stakes are those of a channel's leases that run or may yet.
func (p *Provider) stakes(channel market.Hash) (running []books.Stake) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.leases {
		if l.channel != channel {
			continue
		}
		if stake, may := l.mayRun(); may {
			running = append(running, stake)
		}
	}
	return running
}

// creditLeft is what of the caps no running lease uses, for one more of a client.
func (p *Provider) creditLeft(client peer.ID) market.Amount {
	var his, all market.Amount
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.leases {
		if !l.running() {
			continue
		}
		all = all.Add(l.staked.Credit)
		if l.peer == client {
			his = his.Add(l.staked.Credit)
		}
	}
	return market.MinAmount(p.Caps.Peer.Sub(his), p.Caps.Total.Sub(all))
}

// notAccepted says to a client why its accept is refused, and what would do.
func notAccepted(err error) error {
	var short *books.Uncovered
	var over *books.OverCredit
	switch {
	case errors.Is(err, books.ErrVoid):
		return wire.Refuse(wire.Void, "%v; ask for a new one", err)
	case errors.Is(err, books.ErrAccepted):
		return wire.Refuse(wire.WrongState, "%v; ask for a new one", err)
	case errors.Is(err, market.ErrTooLate):
		return wire.Refuse(wire.Expired, "%v", err).Near("a quote is good for %s", QuoteValidity)
	case errors.As(err, &short):
		disputed := ""
		if !short.Disputed.IsZero() {
			disputed = fmt.Sprintf(", of which %s USD is for receipts of earlier leases that this peer has not countersigned", money.Format(short.Disputed))
		}
		return wire.Refuse(wire.BadVoucher, "%v%s", err, disputed).Near("a voucher of %s USD", money.Format(short.Wanted))
	case errors.As(err, &over):
		return wire.Refuse(wire.Credit, "%v", err).Near("a new quote, with credit of at most %s USD", money.Format(over.Left))
	}
	return err
}
