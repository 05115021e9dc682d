package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

const (
	settleTries    = 2 // sendings of the last countersignature
	malformedTries = 3 // malformed messages on a lease's conversations before that counts as cheating
)

// execution is one lease being lived through. The job's goroutine owns it;
// what other goroutines touch is atomic.
type execution struct {
	e       *Engine
	r       *runner
	lease   ledger.Lease // as last written; only of the job's goroutine
	hash    market.Hash
	attempt int
	peer    peer.ID
	quote   market.Quote
	terms   market.Terms
	job     market.Job
	log     *logFile
	base    uint64 // where this execution's log begins in the job's

	fresh        bool // this process made the lease
	startedHere  bool // and sent its first attach
	startedAwake time.Duration
	heard        atomic.Int64 // monotonic ns of the provider's last sign of life
	inputsSent   bool
	told         string // the last state that the provider told
	detail       string // and what it said of it
	detailed     time.Duration
	warned       bool // that a cap keeps the voucher low
	fetching     fetching
	unsettled    int           // conversations that broke off with only the acknowledgement missing
	malformed    int           // conversations that broke off over a malformed message
	broken       int           // conversations that broke off in all
	slowest      time.Duration // the longest that a countersignature took to be written down
	states       int           // that were passed on
	proof        proof
	life         context.Context //nolint:containedctx // of the lease, for what goes on beside it
}

func (r *runner) newExecution(l ledger.Lease, fresh bool) (*execution, error) {
	x := &execution{e: r.e, r: r, lease: l, hash: l.Hash, attempt: l.Attempt, fresh: fresh, proof: newProof()}
	var errs [4]error
	x.peer, errs[0] = peer.Decode(l.Peer)
	x.quote, errs[1] = market.DecodeQuote(l.Quote)
	x.terms, errs[2] = market.DecodeTerms(l.Terms)
	x.job, errs[3] = market.DecodeJob(l.Job)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("lease %s as recorded: %w", l.Hash, err)
	}
	var err error
	if x.base, err = r.logBase(l); err != nil {
		return nil, err
	}
	x.log, err = r.e.openLog(l.Hash)
	return x, err
}

// run lives through a lease until it is closed. An error is of this node
// itself, and leaves the lease for later.
func (x *execution) run(ctx context.Context) (err error) {
	tag := "lease/" + x.lease.Hash.Hex()
	x.e.cfg.Protect(x.peer, tag)
	defer func() {
		x.e.cfg.Unprotect(x.peer, tag)
		err = errors.Join(err, x.log.close())
	}()
	life, end := context.WithCancel(ctx)
	defer end()
	x.life = life
	x.r.living.Store(x)
	defer x.r.living.Store(nil)
	x.alive()
	wait := x.e.cfg.Times.Redial
	for x.lease.State != market.Closed {
		began := x.e.cfg.Clock.Mono()
		err := x.converse(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case x.lease.State == market.Closed:
			return nil
		case err == nil:
			continue
		case isLedger(err):
			return err
		}
		if err := x.setback(ctx, err); err != nil || x.lease.State == market.Closed {
			return err
		}
		if x.e.cfg.Clock.Mono()-began >= maxRedial { // a word and a reset buy no quicker redial
			wait = x.e.cfg.Times.Redial
		}
		if !pause(ctx, wait, nil) {
			return ctx.Err()
		}
		wait = min(2*wait, maxRedial)
	}
	return nil
}

// setback decides what a broken conversation means: the end of the lease, or another try.
func (x *execution) setback(ctx context.Context, err error) error {
	x.e.cfg.Log.Debug("a conversation broke off", "lease", x.lease.Hash, "peer", x.peer, "err", err)
	if x.broken++; errors.Is(err, wire.ErrMalformed) {
		x.e.garbled(x.peer, err)
		err = x.countMalformed(err)
	}
	var bad *books.Cheat
	var r *wire.Refusal
	var distrusted *unproven
	switch {
	case errors.As(err, &distrusted):
		return x.closeUnproven(ctx, distrusted.sentence)
	case x.settling():
		if x.unsettled++; x.unsettled < settleTries {
			return nil
		}
		x.e.askAnew(x.lease.Peer) // so that the countersignature is repeated before the next lease
		return x.closeWell(ctx)
	case errors.As(err, &bad) && bad.Unsure:
		return x.lost(ctx, bad.Sentence, false)
	case errors.As(err, &bad):
		x.lease, err = x.e.endCheated(ctx, x.lease, bad)
		if err == nil {
			x.r.notice(Cheated, "caught %s: %s; %s", shown(x.peer), bad.Sentence, x.costSoFar())
		}
		return err
	case wire.IsCode(err, wire.NotReconciled):
		x.e.books.askAgain(x.peer)
	case errors.As(err, &r) && (r.Code == wire.Unknown || r.Code == wire.WrongState || r.Code == wire.Void):
		return x.lost(ctx, fmt.Sprintf("the provider doesn't go on with the lease: %s", r.Error()), false)
	}
	if errors.Is(err, errNotTaken) {
		return x.lost(ctx, "the provider did not take the job's inputs", false)
	}
	if errors.Is(err, errOverdue) && x.lease.State != market.Finishing {
		return x.lost(ctx, "the provider didn't end the lease in time", false)
	}
	// While it finishes the last receipt is here, and waits for the outputs that it names: only they would
	// have it countersigned.
	if silent := x.silence(); silent > x.e.cfg.Times.Lost {
		what := "could not be reached"
		if x.connected() {
			what = "said nothing of the job"
		}
		return x.lost(ctx, fmt.Sprintf("the provider %s for %s", what, silent.Round(time.Second)), x.lease.State != market.Finishing)
	}
	return nil
}

// countMalformed makes cheating of the last of too many malformed messages.
func (x *execution) countMalformed(err error) error {
	if x.malformed++; x.malformed < malformedTries {
		return err
	}
	return &books.Cheat{
		Code: market.FaultBadDocument, Err: err,
		Sentence: fmt.Sprintf("it sent malformed messages, %d times over, in place of the job's news", x.malformed),
	}
}

func (x *execution) lost(ctx context.Context, why string, silence bool) (err error) {
	x.lease, err = x.e.abandon(ctx, x.lease, why, silence)
	if err == nil {
		x.r.notice(Lost, "%s; %s", why, x.costSoFar())
	}
	return err
}

// costSoFar says what a failed execution cost, in plain words.
func (x *execution) costSoFar() string {
	due := x.lease.Countersigned.Charged
	if more := x.lease.Paid.Sub(due); !more.IsZero() {
		return fmt.Sprintf("%s USD was countersigned, and it could keep at most %s USD that was paid ahead", usd(due), usd(more))
	}
	return fmt.Sprintf("%s USD was countersigned and nothing was paid ahead", usd(due))
}

func (x *execution) alive() { x.heard.Store(int64(x.e.cfg.Clock.Mono())) }

func (x *execution) silence() time.Duration {
	return x.e.cfg.Clock.Mono() - time.Duration(x.heard.Load())
}
