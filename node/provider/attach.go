package provider

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/executor"
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

func (a *attachment) sendLog(p piece) error {
	if p.last {
		a.logged, a.broken = p.err == nil, p.err != nil
		return nil
	}
	e := &pb.Log{Offset: a.offset, Data: p.data}
	a.offset += uint64(len(p.data))
	return a.conv.Send(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: e}})
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

// piece is a part of the log, or its end.
type piece struct {
	data []byte // good until the next piece is taken
	last bool
	err  error // with last: why there is no more, nil at the log's true end
}

// readLog reads the log in a goroutine of its own, from what was sent so far
// to its end. A nil channel means that there is none yet.
func (a *attachment) readLog(ctx context.Context, rec ledger.Lease, exec executor.Execution) <-chan piece {
	if exec == nil && rec.Outcome == market.NotEnded {
		return nil
	}
	pieces := make(chan piece) // unbuffered: pump relies on it
	a.l.p.wg.Go(func() { a.pump(ctx, exec, a.offset, pieces) })
	return pieces
}

func (a *attachment) pump(ctx context.Context, exec executor.Execution, offset uint64, pieces chan<- piece) {
	err := func() error {
		r, err := a.l.openLog(ctx, exec, offset)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		// Whoever takes a piece has sent the one before it, whose memory is then free.
		data, other := make([]byte, run.LogPiece), make([]byte, run.LogPiece)
		for {
			n, err := r.Read(data)
			if n > 0 && !pass(ctx, pieces, piece{data: data[:n]}) {
				return ctx.Err()
			}
			data, other = other, data
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}()
	if err != nil && ctx.Err() == nil {
		a.l.p.Log.Error("log unreadable", "lease", a.l.hash, "err", err)
	}
	pass(ctx, pieces, piece{last: true, err: err})
}

func pass(ctx context.Context, pieces chan<- piece, p piece) bool {
	select {
	case pieces <- p:
		return true
	case <-ctx.Done():
		return false
	}
}
