package crashpoint_test

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
)

// want is a job as its user has it done.
type want struct {
	name   string
	cancel bool // once a receipt is countersigned
	edit   func(*jobfile.Spec)
	// look is told of the job's newest lease as long as it lives, and may meddle.
	look func(ledger.Lease)
}

var errWorks = errors.New("it isn't done yet")

// press does what a user does until a job is done: submits it, unless it is
// known, and cancels it.
func (w *world) press(x want) error {
	job, known, err := w.buyer.job(x.name)
	switch {
	case err != nil:
		return err
	case !known:
		spec := w.buyer.spec(x.name)
		if x.edit != nil {
			x.edit(&spec)
		}
		id, err := w.buyer.engine.Submit(context.Background(), spec, "")
		if err == nil {
			w.buyer.given.told("a job", jobOf(id, func(ledger.Job) bool { return true }))
		}
		return errors.Join(err, errWorks)
	case job.State == ledger.JobDone:
		return nil
	}
	if x.look != nil {
		if err := w.show(job, x.look); err != nil {
			return err
		}
	}
	if !x.cancel || job.Cancel || !w.ticked(job) {
		return errWorks
	}
	if err := w.buyer.engine.Cancel(context.Background(), job.ID); err != nil {
		return err
	}
	w.buyer.given.told("a cancellation", jobOf(job.ID, func(j ledger.Job) bool { return j.Cancel || j.State == ledger.JobDone }))
	return errWorks
}

// leases are those of a job, in order.
func (w *world) leases(job ledger.Job) (all []ledger.Lease, err error) {
	err = w.buyer.ledger.View(context.Background(), func(tx *ledger.Tx) error {
		for _, h := range job.Leases {
			l, err := tx.Lease(ledger.Client, h)
			if err != nil {
				return err
			}
			all = append(all, l)
		}
		return nil
	})
	return all, err
}

// show lets look see the lease that a job has now.
func (w *world) show(job ledger.Job, look func(ledger.Lease)) error {
	all, err := w.leases(job)
	if err == nil && len(all) > 0 && all[len(all)-1].State != market.Closed {
		look(all[len(all)-1])
	}
	return err
}

// ticked tells that a receipt of the job was countersigned.
func (w *world) ticked(job ledger.Job) (yes bool) {
	all, err := w.leases(job)
	for _, l := range all {
		yes = yes || l.Countersigned.Seq > 0
	}
	return yes && err == nil
}

// decide does what a person does about all that is in dispute: leaves it, thinks
// better of it, and pays.
func (w *world) decide() error {
	ctx := context.Background()
	all, err := w.buyer.engine.Disputes(ctx)
	for _, d := range all {
		h, bad := market.ParseHash(d.Lease)
		switch {
		case bad != nil:
			return bad
		case !d.Left && w.left[h] == d.Owed && !d.Owed.IsZero():
			require.Fail(w.t, "a person left a lease unpaid, and is asked again", d.Lease)
		case !d.Left:
			if no := w.buyer.engine.LeaveDisputed(ctx, h); no != nil {
				err = errors.Join(err, no)
				continue
			}
			w.left[h] = d.Owed
		default:
			err = errors.Join(err, w.buyer.engine.PayDisputed(ctx, h, d.Owed))
		}
	}
	if len(all) > 0 {
		err = errors.Join(err, errWorks)
	}
	return err
}

// meetAgain is how long the two sides may have nothing to do with each other
// while something isn't paid, before the user starts one more job.
const meetAgain = time.Minute

// paid says what isn't paid, or else isn't at rest or doesn't fit. What is owed
// shows when the two sides next meet.
func (w *world) paid() error {
	if err := w.decide(); err != nil {
		return err
	}
	err := w.quiet()
	if err == nil || w.buyer.engine.Active() > 0 || time.Since(w.asked) < meetAgain {
		return err
	}
	w.asked = time.Now()
	spec := w.buyer.spec("one more")
	spec.Region = w.seller.region
	_, bad := w.buyer.engine.Submit(context.Background(), spec, "")
	return errors.Join(err, bad)
}
