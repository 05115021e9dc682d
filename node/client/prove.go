package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

const (
	// holdTime is how much longer a lease is whose devices are challenged
	// under it: it comes off the lease's time, and shall not off the job's. It
	// is also what a provider gets for its answers, as it is paid meanwhile.
	holdTime = time.Minute
	// proveTries is how often a challenge under a lease is asked for while the
	// provider is busy with another one.
	proveTries = 6
	provePause = 5 * time.Second
)

// proof is an execution's challenge before its process begins.
type proof struct {
	runs   chan struct{} // closed when the provider says that the lease's time runs
	once   sync.Once
	failed chan struct{} // closed when the provider was caught
	why    string        // valid then
}

func newProof() proof { return proof{runs: make(chan struct{}), failed: make(chan struct{})} }

// timeRuns notes that the devices can be challenged now.
func (x *execution) timeRuns() { x.proof.once.Do(func() { close(x.proof.runs) }) }

func (x *execution) isCaught() bool {
	select {
	case <-x.proof.failed:
		return true
	default:
		return false
	}
}

// unproven ends a lease whose devices didn't stand their challenge.
type unproven struct{ sentence string }

func (u *unproven) Error() string { return u.sentence }

// prove challenges the lease's own devices while its process is held back, and
// lets that begin when they stood it. Else the lease is cancelled: with who was
// caught nothing more is countersigned. Only its own goroutine closes failed.
func (x *execution) prove(ctx context.Context, s *run.Session) error {
	select {
	case <-x.proof.runs:
	case <-ctx.Done():
		return nil
	}
	x.r.emit(Event{Kind: StateIs, Attempt: x.attempt, State: string(market.Running), Text: "challenging the leased devices, before the process begins"})
	v, err := x.challengeBefore(ctx)
	switch why := x.distrust(v, err); {
	case ctx.Err() != nil:
		return nil // it is challenged again in the next conversation
	case why != "":
		return x.endUnproven(ctx, s, why, v.Caught != "")
	}
	err = x.edit(ctx, func(_ *ledger.Tx, l *ledger.Lease) error {
		l.Hold = false
		return nil
	})
	if err != nil {
		return err
	}
	x.r.emit(Event{Kind: StateIs, Attempt: x.attempt, State: string(market.Running), Text: "challenged: " + v.Sentence})
	return s.Begin()
}

// distrust says in a sentence why the process isn't to begin; "" if it is.
func (x *execution) distrust(v challenge.Verdict, err error) string {
	var r *wire.Refusal
	switch {
	case errors.As(err, &r):
		return "it takes no challenge of the leased devices: " + r.Error()
	case err != nil:
		x.e.cfg.Log.Debug("no verdict", "lease", x.hash, "err", err)
		return "it left a challenge of the leased devices unanswered"
	case v.Caught != "":
		return fmt.Sprintf("its leased devices were challenged, and it was caught (%s): %s", v.Caught, v.Sentence)
	case v.Simulated && x.terms.Devices[0].Evidence != market.Simulated:
		return "its leased devices are simulated"
	}
	return ""
}

// edit changes the lease's record from beside the goroutine that owns x.lease,
// which reads it anew with each write of its own.
func (x *execution) edit(ctx context.Context, change func(*ledger.Tx, *ledger.Lease) error) error {
	_, err := x.e.change(ctx, x.hash, change)
	return err
}

// endUnproven cancels the lease, durably first. One that is no cheat is paid
// for what ran until then.
func (x *execution) endUnproven(ctx context.Context, s *run.Session, why string, caught bool) error {
	err := x.edit(ctx, func(tx *ledger.Tx, l *ledger.Lease) error {
		if l.Unproven || !l.State.Live() {
			return nil
		}
		l.Unproven, l.Cancelled, l.Reason = true, true, why
		j, err := tx.Job(l.JobID)
		if err != nil {
			return err
		}
		j.Unproven++
		return tx.PutJob(j)
	})
	if err != nil {
		return err
	}
	if caught {
		x.proof.why = why
		close(x.proof.failed)
		x.r.notice(Cheated, "caught %s: %s", shown(x.peer), why)
	} else {
		x.r.notice(ProviderFailed, "%s: %s", shown(x.peer), why)
	}
	if !caught {
		return x.cancelUnproven(ctx, s)
	}
	if err := s.Cancel(); err != nil {
		return err
	}
	if err := expire(ctx, books.StopTime); err == nil {
		return nil // another part of the conversation has ended it
	}
	return &unproven{why}
}

// cancelUnproven says, also in later conversations, that the lease is to end,
// and gives the provider time to stop.
func (x *execution) cancelUnproven(ctx context.Context, s *run.Session) error {
	if err := s.Cancel(); err != nil {
		return err
	}
	return expire(ctx, books.StopTime+x.e.cfg.Times.Lost)
}

// takeUncountersigned waits for the end of a provider that was caught. Its last
// receipt is kept, if it is right, and not countersigned.
func (x *execution) takeUncountersigned(ctx context.Context, m *pb.RunEvent) error {
	if m.GetDone() == nil {
		return nil
	}
	if c, err := x.check(m.GetDone().GetReceipt()); err == nil && !c.Known && c.Receipt.Outcome != market.NotEnded {
		if err := x.keepLast(ctx, c); err != nil {
			return err
		}
	}
	return &unproven{x.proof.why}
}

// closeUnproven ends a lease of a provider that was caught: its last receipt is not countersigned.
func (x *execution) closeUnproven(ctx context.Context, why string) (err error) {
	defer x.e.askAnew(x.lease.Peer)
	x.lease, err = x.e.change(ctx, x.hash, func(_ *ledger.Tx, l *ledger.Lease) error {
		if l.State != market.Closed {
			*l = books.Break(*l, market.ProviderFailed, why, x.e.nowMillis())
		}
		return nil
	})
	return err
}

// challengeBefore is the challenge while nothing else runs on the devices, or, if
// they are shared, only what others run.
func (x *execution) challengeBefore(ctx context.Context) (challenge.Verdict, error) {
	c, err := x.claim(ctx)
	if err != nil {
		return challenge.Verdict{}, err
	}
	o := x.e.cfg.Challenge
	o.Answers = cmp.Or(o.Answers, holdTime)
	for try := 1; ; try++ {
		v, err := x.e.put(ctx, x.peer, c, o)
		if !wire.IsCode(err, wire.Busy) || try >= proveTries || !pause(ctx, provePause, nil) {
			return v, err
		}
	}
}

// claim is what the provider claims of the lease's devices, of one kind all.
func (x *execution) claim(ctx context.Context) (challenge.Claim, error) {
	if len(x.terms.Devices) == 0 {
		return challenge.Claim{}, wire.Refuse(wire.NoMatch, "the lease has no GPU")
	}
	d := x.terms.Devices[0]
	o, ok := x.e.offers.Get(x.peer, x.e.cfg.Clock.Now())
	if !ok {
		if offers, _, err := offer.Ask(ctx, x.e.cfg.Host, x.peer, x.e.cfg.Network, 1); err == nil && len(offers) > 0 && offers[0].Peer == x.peer {
			o = offers[0]
		}
	}
	c := claimOf(offer.Device{Device: d}, d.Count) // what the terms say, if no offer says more
	for _, offered := range o.Devices {
		if offered.Slug == d.Slug && offered.VRAM == d.VRAM {
			c = claimOf(offered, d.Count)
		}
	}
	c.Lease = x.hash
	if d.Shared {
		c.Beside, c.Blocks = true, 0
	}
	return c, nil
}

// ChallengeJob challenges the devices of a job's running lease, beside the job:
// no time is held against them, and their memory is left to it. It ends
// with the lease.
func (e *Engine) ChallengeJob(ctx context.Context, idPrefix string) (challenge.Verdict, error) {
	id, err := e.resolve(ctx, idPrefix)
	if err != nil {
		return challenge.Verdict{}, err
	}
	var x *execution
	if r := e.runner(id); r != nil {
		x = r.living.Load()
	}
	if x == nil {
		return challenge.Verdict{}, wire.Refuse(wire.WrongState, "job %.8s has no lease now, so there is nothing to challenge; `souk jobs` shows which jobs run", id)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(x.life, cancel)()
	c, err := x.claim(ctx)
	if err != nil {
		return challenge.Verdict{}, err
	}
	c.Beside, c.Blocks = true, 0
	v, err := e.put(ctx, x.peer, c, e.cfg.Challenge)
	if x.life.Err() != nil && err != nil {
		return v, wire.Refuse(wire.WrongState, "the lease ended, and the challenge with it")
	}
	return v, err
}
