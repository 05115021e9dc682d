package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// takeDone ends the lease: the last receipt is kept, the outputs are brought
// here, and only then is it countersigned.
func (x *execution) takeDone(ctx context.Context, s *run.Session, m *pb.Receipt) error {
	c, err := x.check(m)
	if err != nil {
		return err
	}
	if c.Receipt.Outcome == market.NotEnded {
		return wire.Malformed("a receipt without outcome came as the last one")
	}
	if c.Known {
		return nil // sayAgain has repeated the countersignature
	}
	if c.Body.Outputs == nil { // nothing to wait for
		return x.conclude(ctx, s, c, x.finishing, fetched(cid.Undef))
	}
	if err := x.keepLast(ctx, c); err != nil {
		return err
	}
	outputs, err := x.bring(ctx, *c.Body.Outputs)
	if errors.Is(err, errWithheld) {
		return x.withheld(ctx, c, err)
	}
	if err != nil {
		return err
	}
	return x.conclude(ctx, s, c, fetched(outputs))
}

// conclude countersigns the last receipt. All of the log is here by then.
func (x *execution) conclude(ctx context.Context, s *run.Session, c books.Checked, before ...edit) error {
	if err := x.countersign(ctx, s, c, before...); err != nil {
		return err
	}
	time.AfterFunc(x.e.cfg.Times.Settle, s.Close) // closing it twice does no harm
	return nil
}

// finishing notes that the last receipt is here; countersigning it keeps it.
func (x *execution) finishing(_ *ledger.Tx, l *ledger.Lease) (err error) {
	*l, err = books.Finishing(*l, x.e.nowMillis())
	return err
}

// keepLast stores the last receipt as it came, not yet countersigned.
func (x *execution) keepLast(ctx context.Context, c books.Checked) error {
	l, err := x.e.change(ctx, x.lease.Hash, func(tx *ledger.Tx, l *ledger.Lease) error {
		ch, err := tx.Channel(ledger.Client, l.Channel)
		if err != nil {
			return err
		}
		w, err := books.Keep(*l, ch, c, x.e.nowMillis())
		if err != nil {
			return err
		}
		return w.StoreBut(tx, l)
	})
	if err == nil {
		x.lease = l
	}
	return err
}

// fetched notes that the log and the outputs, if any, are here.
func fetched(outputs cid.Cid) edit {
	return func(_ *ledger.Tx, l *ledger.Lease) error {
		if outputs.Defined() {
			l.Outputs = outputs.String()
		}
		l.Fetched = true
		return nil
	}
}

// bring fetches the outputs that the receipt's body names.
func (x *execution) bring(ctx context.Context, root cid.Cid) (cid.Cid, error) {
	err := x.fetch(ctx, root)
	if errors.Is(err, errOwn) {
		x.r.notice(wire.StorageTrouble, "the outputs %s can't be stored: %v", root, err)
		return cid.Undef, nil // that is not the provider's fault
	}
	return root, err
}

// withheld ends the lease without countersigning its last receipt.
func (x *execution) withheld(ctx context.Context, c books.Checked, why error) error {
	text := fmt.Sprintf("it charges %s for outputs that it doesn't give", usd(c.Receipt.Charged))
	l, err := x.e.withhold(ctx, x.lease, text)
	if err != nil {
		return err
	}
	x.lease = l
	x.e.cfg.Log.Warn("outputs withheld", "peer", x.peer, "lease", l.Hash, "err", why)
	x.r.notice(ProviderFailed, "caught %s: %s; its last receipt is not countersigned; %s", shown(x.peer), text, x.costSoFar())
	return nil
}

// takeSettled closes the lease once the provider has the last countersignature.
func (x *execution) takeSettled(ctx context.Context, seq uint32) error {
	if !x.settling() || seq != x.lease.Countersigned.Seq {
		return nil
	}
	return x.closeWell(ctx)
}

// settling tells that the last receipt is countersigned, and only the
// provider's word that it has that may be missing.
func (x *execution) settling() bool {
	return x.lease.State == market.Finishing && x.lease.Outcome != market.NotEnded
}

// closeWell closes a lease whose last receipt is countersigned.
func (x *execution) closeWell(ctx context.Context) error {
	body, err := x.lastBody(ctx)
	if err != nil {
		return err
	}
	l, err := x.e.closeWell(ctx, x.lease.Hash, x.ending(body), blameless(x.lease, body))
	if err == nil {
		x.lease = l
	}
	return err
}

// lastBody is what the last receipt stands on.
func (x *execution) lastBody(ctx context.Context) (market.Body, error) {
	rec, err := x.e.receipt(ctx, x.lease.Hash, x.lease.Countersigned.Seq)
	if err != nil {
		return market.Body{}, err
	}
	return market.DecodeBody(rec.Body)
}

// ending is one sentence on how the execution ended.
func (x *execution) ending(body market.Body) string {
	if x.lease.Unproven {
		return x.lease.Reason
	}
	if uncovered(x.lease) {
		return "this node did not pay in time, " + x.whyUnpaid()
	}
	text := x.lease.Outcome.String()
	if body.ExitCode != nil {
		text += fmt.Sprintf(" with exit code %d", *body.ExitCode)
	}
	if body.Detail != "" {
		text += ": " + printable(body.Detail)
	} else if body.Cause != "" && body.ExitCode == nil {
		text += ": " + printable(body.Cause)
	}
	return text
}
