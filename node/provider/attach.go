package provider

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// attachment is one attached stream. Its own goroutine, the stream's handler,
// sends; one more receives, one more reads the log.
type attachment struct {
	l      *lease
	conv   *run.Conversation
	cancel context.CancelCauseFunc

	offset uint64 // of the log, sent so far
	seq    uint32 // of the receipts, sent so far
	state  string // last one sent
	detail string // and what was said of it
	logged bool   // all of the log was sent, and no more comes
	broken bool   // the log could not be read; it is tried again at the next change
	done   bool   // Done was sent
}

var (
	errSuperseded = wire.Refuse(wire.Superseded, "a newer attach took this lease over")
	errClosing    = wire.Refuse(wire.ShuttingDown, "this provider is shutting down; attach again once it is back")
)

// lookAgain is how often a lease is looked for that is on its way from memory
// to the books or back.
const lookAgain = 10

// Attach runs a conversation with the client of a lease.
func (p *Provider) Attach(ctx context.Context, client peer.ID, at run.Attach, conv *run.Conversation) error {
	l, err := p.find(ctx, client, at.Lease)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(errClosing) })()
	a := p.enter(l, &attachment{conv: conv, cancel: cancel, offset: at.LogOffset, seq: at.ReceiptSeq}, at.Hold)
	defer a.l.detach(a)

	received := make(chan error, 1)
	if !p.spawn(func() { received <- a.receive(ctx) }) {
		return errClosing
	}
	err = a.send(ctx, received)
	cancel(err)
	return err // the dispatcher ends the stream, and with it receive
}

// enter makes a the newest stream of its lease, which is l unless another
// stream brought the lease to memory meanwhile.
func (p *Provider) enter(l *lease, a *attachment, hold bool) *attachment {
	p.mu.Lock()
	if other := p.leases[l.hash]; other != nil {
		l = other
		other.mu.Lock()
	} else {
		l.mu.Lock()
		if books.Over(l.rec.State) { // else its accept has just failed
			p.leases[l.hash] = l
		}
	}
	p.mu.Unlock()
	defer l.mu.Unlock()
	a.l = l
	if l.conv != nil {
		l.conv.cancel(errSuperseded)
	}
	l.conv, l.attached, l.hold = a, true, hold
	l.wakeLocked()
	l.here()
	return a
}

func (l *lease) detach(a *attachment) {
	l.mu.Lock()
	if l.conv == a {
		l.conv = nil
	}
	l.mu.Unlock()
	l.settle()
}

// find gives a client's lease, from memory or, once it is settled, the books.
func (p *Provider) find(ctx context.Context, client peer.ID, h market.Hash) (*lease, error) {
	for range lookAgain {
		l, err := p.look(ctx, client, h)
		if l != nil || err != nil {
			return l, err
		}
	}
	return nil, wire.Refuse(wire.Busy, "the lease is just changing; try again").After(time.Second)
}

// look gives no lease and no error for one whose supervisor has just begun or ended.
func (p *Provider) look(ctx context.Context, client peer.ID, h market.Hash) (*lease, error) {
	unknown := wire.Refuse(wire.Unknown, "this provider has no lease %s with this peer", h)
	if l := p.lease(h); l != nil {
		if l.peer != client {
			return nil, unknown
		}
		return l, nil
	}
	var rec ledger.Lease
	err := p.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		rec, err = tx.Lease(ledger.Provider, h)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) || (err == nil && rec.Peer != client.String()) {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	if !books.Over(rec.State) {
		return nil, nil
	}
	return p.revive(rec)
}

// receive takes the client's messages until the stream ends.
func (a *attachment) receive(ctx context.Context) error {
	for {
		m, err := a.conv.Receive()
		if err != nil {
			return err
		}
		if err := a.l.pace.Wait(ctx); err != nil {
			return err
		}
		switch {
		case m.GetCountersign() != nil:
			if err := a.l.countersigned(ctx, m.GetCountersign()); err != nil {
				return err
			}
			settled := &pb.Settled{Seq: m.GetCountersign().GetSeq()}
			if err := a.conv.Send(&pb.RunEvent{Event: &pb.RunEvent_Settled{Settled: settled}}); err != nil {
				return err
			}
		case m.GetCancel() != nil:
			if err := a.l.cancel(ctx); err != nil {
				return err
			}
		case m.GetBegin() != nil:
			a.l.begin()
		case m.GetAttach() != nil:
			return wire.Malformed("a second attach on one stream")
		}
	}
}

// cancel notes, durably, that the client wants the lease to end.
func (l *lease) cancel(ctx context.Context) error {
	return l.update(ctx, func(_ *ledger.Tx, rec *ledger.Lease) error {
		if rec.Cancelled || books.Over(rec.State) {
			return errUnchanged
		}
		rec.Cancelled = true
		return nil
	})
}
