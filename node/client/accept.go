package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// accept leases a candidate for a job. The lease is in the ledger, quoted,
// before anything is sent; settle learns what became of it.
func (e *Engine) accept(ctx context.Context, jobID string, c *candidate) (ledger.Lease, error) {
	p := c.offer.Peer
	if err := e.connect(ctx, p, c.offer); err != nil {
		return ledger.Lease{}, wire.Refuse(NoProvider, "it can't be reached")
	}
	if err := e.reconcile(ctx, p); err != nil {
		return ledger.Lease{}, err
	}
	parties, err := e.parties(p)
	if err != nil {
		return ledger.Lease{}, err
	}
	if e.cfg.Clock.Mono() >= c.expires {
		return ledger.Lease{}, wire.Refuse(wire.Expired, "its quote ran out")
	}
	var l ledger.Lease
	err = e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) (err error) {
		if err := unhindered(tx, p); err != nil {
			return err
		}
		l, err = e.writeLease(tx, jobID, c, parties)
		return err
	})
	return l, err
}

// writeLease is the one write that makes a lease: the record, its place in
// the job, and the channel with its voucher.
func (e *Engine) writeLease(tx *ledger.Tx, jobID string, c *candidate, parties lease.Parties) (ledger.Lease, error) {
	j, err := tx.Job(jobID)
	if err != nil {
		return ledger.Lease{}, err
	}
	if j.Cancel || j.State != ledger.JobPlaced {
		return ledger.Lease{}, wire.Refuse(Cancelled, "the job was cancelled, or is leased already")
	}
	q := c.quoted
	doc := market.Lease{QuoteHash: q.Quote.Hash(), JobHash: market.BlockHash(j.Job)}
	p := c.offer.Peer
	l := ledger.Lease{
		Hash: doc.Hash(), Peer: p.String(), Quote: q.Block, QuoteSignature: q.Signature[:], Request: c.request, Terms: q.TermBlock,
		Block: doc.Encode(), Job: j.Job, JobID: j.ID, Attempt: len(j.Leases) + 1, Hold: c.hold,
	}
	if left, err := left(tx, j); err != nil {
		return ledger.Lease{}, err
	} else if left.Less(q.Quote.Ceiling()) {
		return ledger.Lease{}, wire.Refuse(OverTotal, "its quote could cost %s, limits.total leaves %s", usd(q.Quote.Ceiling()), usd(left))
	}
	j.Leases = append(j.Leases, l.Hash)
	j.State = ledger.JobActive
	w, err := e.newLease(tx, p, parties, l, c.quoted)
	if err != nil {
		return ledger.Lease{}, err
	}
	return *w.Lease, errors.Join(w.Store(tx), tx.PutJob(j), e.remember(tx, p, c.offer))
}

// newLease decides on a lease of a quote and the voucher for it.
func (e *Engine) newLease(tx *ledger.Tx, p peer.ID, parties lease.Parties, l ledger.Lease, q *lease.Quoted) (w books.Writes, err error) {
	ch, err := e.channel(tx, p, parties, q.Quote.Channel)
	if err != nil {
		return w, err
	}
	a, err := e.account(tx, ch, ledger.Lease{})
	if err != nil {
		return w, err
	}
	_, err = tx.Lease(ledger.Client, l.Hash)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return w, err
	}
	w, err = e.side.Lease(a, l, q.Quote, q.Terms, err == nil, e.nowMillis())
	if errors.Is(err, books.ErrKnown) {
		return w, wire.Refuse(wire.WrongState, "it gave a quote that it had given before, and for the same job: %v", err)
	}
	return w, capped(err)
}

// acceptAgain are refusals that don't say what became of the accept.
var acceptAgain = []wire.Code{wire.RateLimited, wire.ShuttingDown, wire.Internal, wire.StorageTrouble, wire.NotReconciled, wire.ChannelInUse}

// settle sends an accept until the provider's answer is known: the lease is
// then agreed, or closed as one that never began (*declined). Where answers are lost it
// asks what became of it, which voids a quote that wasn't accepted. It gives
// up after Times.Lost; the lease is then lost.
//
// fresh says that the accept was never sent before: it is sent first, a few
// times over. After a restart only the status is asked.
func (e *Engine) settle(ctx context.Context, l ledger.Lease, fresh bool) (ledger.Lease, error) {
	p, err := peer.Decode(l.Peer)
	if err != nil {
		return l, err
	}
	parties, err := e.parties(p)
	if err != nil {
		return l, err
	}
	start, wait := e.cfg.Clock.Mono(), e.cfg.Times.Redial
	for try := 0; ; try++ {
		next, err := e.settleOnce(ctx, p, parties, l, fresh && try < acceptTries)
		var no *declined
		if err == nil || errors.As(err, &no) || isLedger(err) {
			return next, err
		}
		e.cfg.Log.Debug("an accept has no answer yet", "lease", l.Hash, "err", err)
		if e.cfg.Clock.Mono()-start > e.cfg.Times.Lost {
			return e.abandon(ctx, l, "the provider didn't answer whether it took the lease", true)
		}
		if !pause(ctx, wait, nil) {
			return l, ctx.Err()
		}
		wait = min(2*wait, maxRedial)
	}
}

// settleOnce tries once: by the accept itself, and by its status where that
// had no clear answer. An error means that nothing is known yet.
func (e *Engine) settleOnce(ctx context.Context, p peer.ID, parties lease.Parties, l ledger.Lease, send bool) (ledger.Lease, error) {
	if err := e.connectKnown(ctx, p); err != nil {
		return l, err
	}
	if err := e.reconcile(ctx, p); err != nil {
		return l, err
	}
	if send {
		sig, err := e.sendAccept(ctx, p, parties, l)
		var r *wire.Refusal
		switch {
		case err == nil:
			return e.agree(ctx, l, sig)
		case errors.Is(err, lease.ErrDishonest):
			return e.endCheated(ctx, l, &books.Cheat{Sentence: "its signature on the lease doesn't verify", Err: err})
		case errors.As(err, &r) && !slices.Contains(acceptAgain, r.Code):
			if r.Code == wire.BadVoucher { // perhaps for a lease whose end isn't known here yet
				e.books.askAgain(p)
			}
			return e.never(ctx, l, r)
		case wire.IsCode(err, wire.NotReconciled):
			e.books.askAgain(p)
			return l, err
		case r == nil, r.Code == wire.RateLimited: // asking for its status would void it
			return l, err
		}
		e.cfg.Log.Debug("an accept is refused for now", "lease", l.Hash, "err", err)
	}
	return e.learn(ctx, p, parties, l)
}

func (e *Engine) sendAccept(ctx context.Context, p peer.ID, parties lease.Parties, l ledger.Lease) (market.Signature, error) {
	a, err := e.accepted(ctx, l)
	if err != nil {
		return market.Signature{}, err
	}
	return lease.Accept(ctx, e.cfg.Host, p, parties, a)
}

// accepted makes the same accept of a lease's record every time, with the
// newest voucher.
func (e *Engine) accepted(ctx context.Context, l ledger.Lease) (a lease.Accepted, err error) {
	var ch ledger.Channel
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		ch, err = tx.Channel(ledger.Client, l.Channel)
		return err
	})
	if err != nil {
		return a, err
	}
	a.Block, a.TermBlock, a.LeaseBlock, a.JobBlock = l.Quote, l.Terms, l.Block, l.Job
	var errs [4]error
	a.Signature, errs[0] = market.SignatureFrom(l.QuoteSignature)
	a.ClientSignature, errs[1] = market.SignatureFrom(l.ClientSignature)
	a.Lease, errs[2] = market.DecodeLease(l.Block)
	a.Config, errs[3] = market.DecodeChannelConfig(ch.Config)
	if len(ch.Signature) > 0 {
		a.Voucher = &market.Voucher{Channel: ch.ID, Max: ch.Voucher}
		if a.VoucherSignature, err = market.SignatureFrom(ch.Signature); err != nil {
			return a, err
		}
	}
	return a, errors.Join(errs[:]...)
}

// learn asks the provider what became of the quote.
func (e *Engine) learn(ctx context.Context, p peer.ID, parties lease.Parties, l ledger.Lease) (ledger.Lease, error) {
	sig, err := market.SignatureFrom(l.QuoteSignature)
	if err != nil {
		return l, err
	}
	st, err := status.Lease(ctx, e.cfg.Host, p, l.Quote, sig)
	if err != nil {
		var r *wire.Refusal
		if errors.As(err, &r) && r.Code == wire.Unknown {
			return e.never(ctx, l, r)
		}
		return l, err
	}
	if st.GetState() == status.Void {
		return e.never(ctx, l, wire.Refuse(wire.Void, "the accept didn't reach the provider in time"))
	}
	signed, err := market.SignatureFrom(st.GetDocuments().GetProviderSignature())
	if err == nil {
		err = signed.Verify(e.chain.Digest(l.Hash), parties.Provider)
	}
	if err != nil {
		return l, err
	}
	return e.agree(ctx, l, signed)
}

// agree stores the provider's signature. The provider's clock has judged that
// the quote was still good.
func (e *Engine) agree(ctx context.Context, l ledger.Lease, sig market.Signature) (ledger.Lease, error) {
	q, err := market.DecodeQuote(l.Quote)
	if err != nil {
		return l, err
	}
	return e.change(ctx, l.Hash, func(_ *ledger.Tx, l *ledger.Lease) error {
		*l, err = books.Agree(*l, q, sig, e.nowMillis())
		return err
	})
}

// declined is how a lease that didn't come to be ended. It is closed in the books.
type declined struct{ *wire.Refusal }

// never closes a lease that didn't come to be and returns a *declined. Its job is placed again, and
// the channel's next need is without it.
func (e *Engine) never(ctx context.Context, l ledger.Lease, why *wire.Refusal) (ledger.Lease, error) {
	l, err := e.change(ctx, l.Hash, func(tx *ledger.Tx, l *ledger.Lease) (err error) {
		if l.State != market.Quoted {
			return nil
		}
		if *l, err = books.Decline(*l, why.Error(), e.nowMillis()); err != nil || l.JobID == "" {
			return err
		}
		j, err := tx.Job(l.JobID)
		if err != nil {
			return err
		}
		j.Leases = slices.DeleteFunc(j.Leases, func(h market.Hash) bool { return h == l.Hash })
		if j.State = ledger.JobPlaced; !l.Raised.IsZero() {
			j.Declined = append(j.Declined, l.Hash)
		}
		return tx.PutJob(j)
	})
	if err != nil {
		return l, err
	}
	return l, &declined{why}
}

// change edits a lease's record in one durable write, together with what
// edit writes itself.
func (e *Engine) change(ctx context.Context, h market.Hash, edit func(*ledger.Tx, *ledger.Lease) error) (l ledger.Lease, err error) {
	err = e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) (err error) {
		if l, err = tx.Lease(ledger.Client, h); err != nil {
			return err
		}
		if err = edit(tx, &l); err != nil {
			return err
		}
		return books.PutLease(tx, l)
	})
	return l, err
}

// isLedger tells that the node's own book failed; nothing can go on then.
func isLedger(err error) bool {
	return errors.Is(err, ledger.ErrBroken) || errors.Is(err, ledger.ErrCorrupt) || errors.Is(err, ledger.ErrNotFound)
}

const (
	maxRedial   = 5 * time.Second // the longest pause between two dials
	acceptTries = 3               // sendings of one accept before its status is asked
)
