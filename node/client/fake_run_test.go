package client_test

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

const fakeLog = "hello from the job\n"

// Attach plays the script. What it has signed it sends again.
func (f *fake) Attach(ctx context.Context, client peer.ID, at run.Attach, c *run.Conversation) error {
	f.mu.Lock()
	l := f.leases[at.Lease]
	if l == nil || l.client != client {
		f.mu.Unlock()
		return wire.Refuse(wire.Unknown, "no such lease")
	}
	if f.hidden || l.deaf {
		f.mu.Unlock()
		return wire.Refuse(wire.ShuttingDown, "nobody is here")
	}
	if f.appeared && f.script.hurriedLate > 0 {
		f.script.hurriedLate--
		f.mu.Unlock()
		return wire.Refuse(wire.RateLimited, "slower")
	}
	if l.attaches++; l.started.IsZero() {
		l.started = time.Now()
	}
	l.hold = at.Hold
	f.mu.Unlock()
	received := make(chan error, 1)
	go func() { received <- f.receive(l, c) }()
	if err := f.play(ctx, l, at, c, received); err != nil {
		return err
	}
	return <-received
}

func (f *fake) receive(l *fakeLease, c *run.Conversation) error {
	for {
		m, err := c.Receive()
		if err != nil {
			return err
		}
		f.mu.Lock()
		cs := m.GetCountersign()
		if cs != nil && f.script.deafToLast && l.attaches <= 2 && l.ended() {
			cs = nil
		}
		if cs != nil {
			l.counter[cs.GetSeq()] = cs.GetClientSignature()
			if cs.GetVoucher() != nil {
				f.keepVoucher(cs.GetVoucher())
			}
		}
		l.cancel = l.cancel || m.GetCancel() != nil
		l.hold = l.hold && m.GetBegin() == nil
		f.mu.Unlock()
		if cs != nil {
			if err := c.Send(&pb.RunEvent{Event: &pb.RunEvent_Settled{Settled: &pb.Settled{Seq: cs.GetSeq()}}}); err != nil {
				return err
			}
		}
		f.wake()
	}
}

func (f *fake) play(ctx context.Context, l *fakeLease, at run.Attach, c *run.Conversation, received chan error) error {
	wait := func(done func() bool) error { return f.await(ctx, received, done) }
	if err := f.prepare(ctx, l, c, wait); err != nil {
		return err
	}
	if f.script.badLog {
		return c.Send(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Offset: at.LogOffset + 1000, Data: []byte("x")}}})
	}
	if at.LogOffset < uint64(len(fakeLog)) {
		e := &pb.Log{Offset: at.LogOffset, Data: []byte(fakeLog)[at.LogOffset:]}
		if err := c.Send(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: e}}); err != nil {
			return err
		}
	}
	sent, err := f.playTicks(ctx, l, at, c, wait)
	if err != nil {
		return err
	}
	for sent < f.signed(l) { // while nobody was attached
		if sent++; f.tick(c, l, sent) != nil {
			break
		}
	}
	last := f.last(l)
	err = c.Send(&pb.RunEvent{Event: &pb.RunEvent_Done{Done: &pb.Done{Receipt: last}}})
	if err == nil && f.hangsUp() {
		pauseTick(ctx)
		err = wire.Refuse(wire.ShuttingDown, "that was all")
	}
	return err
}

// waits waits until what it's given holds, which it calls with the fake's mu
// held, or the client is gone.
type waits func(done func() bool) error

// prepare takes the inputs and says what it does, until the process may start.
func (f *fake) prepare(ctx context.Context, l *fakeLease, c *run.Conversation, wait waits) error {
	if f.script.silent {
		return wire.Refuse(wire.ShuttingDown, "later")
	}
	if err := wait(func() bool { return f.hasInputs(ctx, l) }); err != nil {
		return err
	}
	for _, detail := range []string{"getting the image", "pulling 120 of 800 MiB"} {
		if err := c.Send(&pb.RunEvent{Event: &pb.RunEvent_State{State: &pb.State{State: "preparing", Detail: detail}}}); err != nil {
			return err
		}
	}
	if err := c.Send(&pb.RunEvent{Event: &pb.RunEvent_State{State: &pb.State{State: "running"}}}); err != nil {
		return err
	}
	return wait(func() bool { l.began = !l.hold; return l.began || l.cancel })
}

// playTicks sends the receipts before the last one, and gives the number of the newest.
func (f *fake) playTicks(ctx context.Context, l *fakeLease, at run.Attach, c *run.Conversation, wait waits) (sent uint32, err error) {
	if n := at.ReceiptSeq; n > 0 { // as one that lost the countersignature
		if err := wait(func() bool { return l.counter[n] != nil }); err != nil {
			return sent, err
		}
	}
	for f.script.idle && !f.isCancelled(l) {
		if err := c.Send(&pb.RunEvent{}); err != nil {
			return sent, err
		}
		pauseTick(ctx)
	}
	sent = at.ReceiptSeq
	for seq := uint32(1); f.script.forever || int(seq) <= f.script.ticks; seq++ {
		if f.isCancelled(l) {
			break
		}
		if f.hides(int(seq)) {
			return sent, wire.Refuse(wire.ShuttingDown, "gone for a while")
		}
		if f.script.dieAfter > 0 && int(seq) > f.script.dieAfter {
			go f.vanish()
			return sent, wire.Refuse(wire.ShuttingDown, "gone")
		}
		if seq <= at.ReceiptSeq {
			continue
		}
		if err := f.tick(c, l, seq); err != nil {
			return sent, err
		}
		sent = seq
		if err := wait(func() bool { return l.counter[seq] != nil || l.cancel }); err != nil {
			return sent, err
		}
		if f.script.forever {
			pauseTick(ctx)
		}
	}
	return sent, nil
}

// pauseTick keeps an endless job from ticking without any time between.
func pauseTick(ctx context.Context) {
	t := time.NewTimer(20 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (f *fake) tick(c *run.Conversation, l *fakeLease, seq uint32) error {
	r := f.receipt(l, seq, market.NotEnded, nil)
	if err := c.Send(&pb.RunEvent{Event: &pb.RunEvent_Tick{Tick: &pb.Tick{Receipt: r}}}); err != nil {
		return err
	}
	if !f.script.equivocate {
		return nil
	}
	f.mu.Lock()
	l.receipts = l.receipts[:seq-1]
	f.mu.Unlock()
	other := f.receipt(l, seq, market.NotEnded, &market.Body{Detail: "another one"})
	return c.Send(&pb.RunEvent{Event: &pb.RunEvent_Tick{Tick: &pb.Tick{Receipt: other}}})
}

// last is the receipt that ends the lease, the same one each time.
func (f *fake) last(l *fakeLease) *pb.Receipt {
	f.mu.Lock()
	n := len(l.receipts)
	if n > 0 {
		if r, _ := market.DecodeReceipt(l.receipts[n-1].GetReceipt()); r.Outcome != market.NotEnded {
			defer f.mu.Unlock()
			return l.receipts[n-1]
		}
	}
	cancelled, uncovered := l.cancel, len(f.leases) <= f.script.uncovered
	f.mu.Unlock()
	body := &market.Body{Cause: "exited", ExitCode: &f.script.exit, LogBytes: int64(len(fakeLog))}
	if f.root.Defined() {
		body.Outputs = &f.root
	}
	outcome := market.Succeeded
	switch {
	case f.script.unfit:
		outcome, body.Cause, body.ExitCode, body.Detail = market.ProviderFailed, market.CauseUnfit, nil, "the registry has no such image"
	case f.script.exitFails:
		outcome, body.Cause, body.ExitCode = market.ProviderFailed, "failed", nil
	case cancelled || uncovered:
		outcome, body.Cause, body.ExitCode = market.Cancelled, "stopped", nil
	case f.script.exit != 0:
		outcome = market.JobFailed
	}
	return f.receipt(l, uint32(n)+1, outcome, body)
}

// receipt signs the lease's receipt of that number, unless there is one.
func (f *fake) receipt(l *fakeLease, seq uint32, o market.Outcome, body *market.Body) *pb.Receipt {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(seq) <= len(l.receipts) {
		return l.receipts[seq-1]
	}
	if body == nil {
		body = &market.Body{LogBytes: int64(len(fakeLog))}
	}
	block, err := body.Encode()
	if err != nil {
		f.t.Errorf("body: %v", err)
	}
	units := uint64(time.Since(l.started).Milliseconds())
	units += uint64(f.more.Milliseconds())
	if f.script.overCharge {
		units += 30_000
	}
	r := market.Receipt{Lease: l.a.Lease.Hash(), Seq: seq, Units: units, Charged: l.a.Quote.Charge(units), Outcome: o, BodyHash: market.BlockHash(block)}
	if o == market.ProviderFailed {
		r.Units, r.Charged = 0, market.Amount{}
	}
	if seq > 1 {
		before, err := market.DecodeReceipt(l.receipts[seq-2].GetReceipt())
		if err != nil {
			f.t.Errorf("receipt: %v", err)
		}
		r.Previous = before.Hash()
		if o == market.ProviderFailed {
			r.Units, r.Charged = before.Units, before.Charged
		}
	}
	sig, err := f.signer.Sign(f.chain.Digest(r.Hash()))
	if err != nil {
		f.t.Errorf("sign: %v", err)
	}
	m := &pb.Receipt{Receipt: r.Encode(), ProviderSignature: sig[:], Body: block}
	l.receipts = append(l.receipts, m)
	return m
}

// await waits until done, which is called with mu held, or the client is gone.
func (f *fake) await(ctx context.Context, received chan error, done func() bool) error {
	for {
		f.mu.Lock()
		ok, changed := done(), f.changed
		f.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case err := <-received:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signed is how many of a lease's receipts are signed, but the last one.
func (f *fake) signed(l *fakeLease) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint32(len(l.receipts)) //nolint:gosec // few
	if l.ended() {
		n--
	}
	return n
}

func (f *fake) hangsUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.script.hangUp
}

func (f *fake) isCancelled(l *fakeLease) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return l.cancel
}

func (f *fake) hasInputs(ctx context.Context, l *fakeLease) bool {
	space, err := f.blobs.Space(l.client.String())
	if err != nil {
		return false
	}
	for _, root := range l.a.Job.Roots() {
		r, err := blob.NewReceiver(ctx, space, root, blob.Limits{})
		if err != nil {
			return false
		}
		whole := r.Complete()
		if r.Close() != nil || !whole {
			return false
		}
	}
	return true
}

// charge makes every receipt from now on charge d more.
func (f *fake) charge(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more = d
}

// forget makes every quote so far void.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for h := range f.quotes {
		f.void[h] = true
	}
}
