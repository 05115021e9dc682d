package client

import (
	"context"
	"errors"
	"fmt"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// Whose exit code a job's is.
const (
	SourceJob  = "job"
	SourceSouk = "souk"
)

// verdict is what an ended execution means for its job.
type verdict struct {
	final   bool // no further execution
	exit    *int // the job's own; nil: souk failed with code
	code    wire.Code
	text    string
	outputs string
}

// judgeExecution decides whether a job goes on after its last execution.
func (e *Engine) judgeExecution(ctx context.Context, j ledger.Job, last ledger.Lease) (verdict, error) {
	if ran := last.Outcome == market.Succeeded || last.Outcome == market.JobFailed; ran && !last.Unproven {
		if last.Countersigned.Seq > 0 && !last.Lost {
			return e.judgeExit(ctx, last)
		}
	}
	v := verdict{code: ProviderFailed, text: last.Reason, outputs: last.Outputs}
	switch {
	case last.Lost:
		v.code = Lost
	case uncovered(last):
		v.code = Unpaid
	case last.Outcome == market.Expired:
		v.code = wire.Expired
	}
	if _, err := e.Evidence(ctx, last.Hash); err == nil {
		v.code = Cheated
	} else if !errors.Is(err, ledger.ErrNotFound) {
		return v, err
	}
	if j.Cancel {
		v.code, v.final = Cancelled, true
		v.text = fmt.Sprintf("cancelled; %s was paid for what ran until then", usd(last.Paid))
		return v, nil
	}
	v.final = ran(j) > j.Retries
	return v, nil
}

// ran is how many executions of a job count: not those that a challenge ended
// before their process began.
func ran(j ledger.Job) int { return len(j.Leases) - j.Unproven }

// judgeExit takes the exit code of a process that ended by itself or at a limit.
func (e *Engine) judgeExit(ctx context.Context, l ledger.Lease) (verdict, error) {
	rec, err := e.receipt(ctx, l.Hash, l.Countersigned.Seq)
	if err != nil {
		return verdict{}, err
	}
	body, err := market.DecodeBody(rec.Body)
	if err != nil {
		return verdict{}, err
	}
	v := verdict{final: true, text: l.Reason, outputs: l.Outputs}
	if body.Outputs != nil && l.Outputs == "" {
		v.code, v.text = wire.StorageTrouble, "the job ended ("+l.Reason+"), but this node couldn't store its outputs"
		return v, nil
	}
	exit := 1 // a limit that was hit has no exit code of its own
	if body.ExitCode != nil {
		exit = *body.ExitCode
	}
	v.exit = &exit
	if body.ExitCode == nil {
		v.code = wire.Code(printable(body.Cause))
	}
	return v, nil
}

// finish writes the job's end, and then tells.
func (r *runner) finish(ctx context.Context, v verdict) error {
	var j ledger.Job
	err := r.e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) (err error) {
		if j, err = tx.Job(r.id); err != nil || j.State == ledger.JobDone {
			return err
		}
		if j.Spent, err = spent(tx, j); err != nil {
			return err
		}
		j.State, j.Ended = ledger.JobDone, r.e.nowMillis()
		j.Exit, j.Source, j.Code, j.Reason, j.Outputs = ExitSouk, SourceSouk, string(v.code), v.text, v.outputs
		if v.code == Cancelled {
			j.Exit = ExitCancelled
		}
		if v.exit != nil {
			j.Exit, j.Source = *v.exit, SourceJob
		}
		return tx.PutJob(j)
	})
	if err == nil {
		r.emit(finishedEvent(j))
	}
	return err
}

func finishedEvent(j ledger.Job) Event {
	exit, spent := j.Exit, j.Spent
	return Event{Kind: Finished, Exit: &exit, Source: j.Source, Code: j.Code, Text: j.Reason, Spent: &spent, Outputs: j.Outputs}
}
