package provider

import (
	"context"
	"time"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// send sends what the client lacks, and then whatever comes, until the stream
// ends.
func (a *attachment) send(ctx context.Context, received <-chan error) error {
	silence := time.NewTicker(run.KeepAlive)
	defer silence.Stop()
	var logs <-chan piece
	for {
		rec, exec, changed := a.l.snapshot()
		if err := a.catchUp(ctx, rec); err != nil {
			return err
		}
		if logs == nil && !a.logged && !a.broken {
			logs = a.readLog(ctx, rec, exec)
		}
		select {
		case p := <-logs:
			if err := a.sendLog(p); err != nil {
				return err
			}
			if p.last {
				logs = nil
			}
		case <-changed:
			a.broken = false
		case <-silence.C:
			a.broken = false
			if err := a.sendState(); err != nil {
				return err
			}
		case err := <-received:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// catchUp sends the state and the receipts that the client lacks. The last
// receipt goes with Done, after all of the log. A lease that was closed without
// one can still be paid as far as it has receipts.
func (a *attachment) catchUp(ctx context.Context, rec ledger.Lease) error {
	if rec.Lost && rec.Countersigned.Seq == rec.Newest.Seq {
		return wire.Refuse(wire.WrongState, "the lease is closed without a last receipt: %s", rec.Reason)
	}
	if s, detail := string(rec.State), a.l.detail(rec); s != a.state || detail != a.detail {
		a.state, a.detail = s, detail
		if err := a.sendState(); err != nil {
			return err
		}
	}
	ended := rec.Outcome != market.NotEnded && !rec.Lost // by a receipt
	for a.seq < rec.Newest.Seq {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		last := ended && a.seq+1 == rec.Newest.Seq
		if last && !a.logged {
			return nil
		}
		if err := a.sendReceipt(ctx, a.seq+1, last, rec); err != nil {
			return err
		}
		a.seq++
		a.done = a.done || last
	}
	if !a.done && ended && a.logged { // the client has the receipt, and now learns that it was the last
		a.done = true
		return a.sendReceipt(ctx, rec.Newest.Seq, true, rec)
	}
	return nil
}

// detail says what the client's side of a state is.
func (l *lease) detail(rec ledger.Lease) string {
	switch rec.State {
	case market.Agreed, market.Preparing:
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.said
	case market.Running:
		if l.waits(l.execution()) {
			return waitingDetail
		}
		return ""
	case market.Finishing:
		return "waiting for the last countersignature"
	default:
		return ""
	}
}

func (a *attachment) sendState() error {
	return a.conv.Send(&pb.RunEvent{Event: &pb.RunEvent_State{State: &pb.State{State: a.state, Detail: a.detail}}})
}

func (a *attachment) sendReceipt(ctx context.Context, seq uint32, last bool, rec ledger.Lease) error {
	var r ledger.Receipt
	err := a.l.p.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		r, err = tx.Receipt(ledger.Provider, a.l.hash, seq)
		return err
	})
	if err != nil {
		return err
	}
	m := receiptProto(r)
	if last {
		done := &pb.Done{Receipt: m, Outputs: outputsBytes(rec.Outputs)}
		return a.conv.Send(&pb.RunEvent{Event: &pb.RunEvent_Done{Done: done}})
	}
	return a.conv.Send(&pb.RunEvent{Event: &pb.RunEvent_Tick{Tick: &pb.Tick{Receipt: m}}})
}

func receiptProto(r ledger.Receipt) *pb.Receipt {
	return &pb.Receipt{Receipt: r.Block, ProviderSignature: r.ProviderSignature, ClientSignature: r.ClientSignature, Body: r.Body}
}
