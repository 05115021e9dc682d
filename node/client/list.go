package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// JobInfo is a job for listings.
type JobInfo struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Image      string          `json:"image,omitempty"` // with its digest, or the CID of its archive; empty: a WASM module
	State      string          `json:"state"`
	Created    time.Time       `json:"created"`
	Ended      time.Time       `json:"ended,omitzero"`
	Total      market.Amount   `json:"total"`
	Spent      market.Amount   `json:"spent"` // so far: countersigned, or vouchered to a provider that failed
	Exit       *int            `json:"exit,omitempty"`
	Source     string          `json:"exit_source,omitempty"`
	Code       string          `json:"code,omitempty"`
	Text       string          `json:"text,omitempty"`
	Outputs    string          `json:"outputs,omitempty"`
	Cancel     bool            `json:"cancel,omitempty"`
	Executions []ExecutionInfo `json:"executions"`
}

// ExecutionInfo is one attempt at a job.
type ExecutionInfo struct {
	Attempt       int           `json:"attempt"`
	Lease         string        `json:"lease"`
	Peer          string        `json:"peer"`
	State         string        `json:"state"`
	Outcome       string        `json:"outcome"`
	PricePerHour  market.Amount `json:"pricePerHour"`
	Units         uint64        `json:"units"` // ms of running, as countersigned
	Charged       market.Amount `json:"charged"`
	Countersigned market.Amount `json:"countersigned"`
	Vouchered     market.Amount `json:"vouchered"` // what its provider can keep at most
	LogBytes      int64         `json:"logBytes"`
	Text          string        `json:"text,omitempty"`
}

// Jobs lists all jobs, newest first.
func (e *Engine) Jobs(ctx context.Context) (infos []JobInfo, err error) {
	var ids []string
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for j, err := range tx.Jobs() {
			if err != nil {
				return err
			}
			ids = append(ids, j.ID)
		}
		return nil
	})
	for _, id := range ids {
		if err == nil {
			var info JobInfo
			info, err = e.info(ctx, id)
			infos = append(infos, info)
		}
	}
	return infos, err
}

// Job gives the job whose ID begins with idPrefix; a *wire.Refusal with the
// code Unknown where none or more than one does.
func (e *Engine) Job(ctx context.Context, idPrefix string) (JobInfo, error) {
	id, err := e.resolve(ctx, idPrefix)
	if err != nil {
		return JobInfo{}, err
	}
	return e.info(ctx, id)
}

// resolve finds the one job whose ID begins with prefix.
func (e *Engine) resolve(ctx context.Context, prefix string) (found string, err error) {
	if prefix == "" {
		return "", wire.Refuse(wire.Unknown, "a job's ID is needed")
	}
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for j, err := range tx.JobsFrom(prefix) {
			switch {
			case err != nil:
				return err
			case j.ID == prefix:
				found = j.ID
				return nil
			case found != "":
				return wire.Refuse(wire.Unknown, "more than one job's ID begins with %.40s", prefix).Near("for example %s and %s", found, j.ID)
			default:
				found = j.ID
			}
		}
		return nil
	})
	if err == nil && found == "" {
		err = wire.Refuse(wire.Unknown, "no job's ID begins with %.40q", prefix)
	}
	return found, err
}

func (e *Engine) info(ctx context.Context, id string) (JobInfo, error) {
	j, leases, err := e.jobAndLeases(ctx, id)
	if err != nil {
		return JobInfo{}, err
	}
	info := JobInfo{
		ID: j.ID, Name: j.Name, State: string(j.State), Created: timeOf(j.Created), Ended: timeOf(j.Ended), Total: j.Total,
		Source: j.Source, Code: j.Code, Text: j.Reason, Outputs: j.Outputs, Cancel: j.Cancel, Executions: []ExecutionInfo{},
	}
	if j.State == ledger.JobDone {
		info.Exit = &j.Exit
	}
	if info.Image, err = imageOf(j); err != nil {
		return info, err
	}
	for _, l := range leases {
		x, err := e.executionInfo(ctx, l)
		if err != nil {
			return info, err
		}
		info.Spent = info.Spent.Add(l.Paid)
		info.Executions = append(info.Executions, x)
	}
	return info, nil
}

// imageOf is the image of a job, for people.
func imageOf(j ledger.Job) (string, error) {
	doc, err := market.DecodeJob(j.Job)
	switch {
	case err != nil || doc.Image == nil:
		return "", err
	case doc.Image.Ref != "":
		return doc.Image.Ref, nil
	}
	return doc.Image.Archive.String(), nil
}

func (e *Engine) executionInfo(ctx context.Context, l ledger.Lease) (ExecutionInfo, error) {
	q, err := market.DecodeQuote(l.Quote)
	if err != nil {
		return ExecutionInfo{}, err
	}
	outcome, err := e.outcome(ctx, l)
	if err != nil {
		return ExecutionInfo{}, err
	}
	size, err := e.logSize(l.Hash)
	return ExecutionInfo{
		Attempt: l.Attempt, Lease: l.Hash.Hex(), Peer: l.Peer, State: string(l.State), Outcome: outcome, PricePerHour: q.PricePerHour(),
		Units: l.Countersigned.Units, Charged: l.Newest.Charged, Countersigned: l.Countersigned.Charged, Vouchered: l.Paid,
		LogBytes: size, Text: l.Reason,
	}, err
}

func timeOf(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)) //nolint:gosec // written by this node
}

// Cancel asks for a job's end. It returns when that is on disk; the job ends
// once its provider has stopped, or is silent for too long. A job that is
// done stays as it is.
func (e *Engine) Cancel(ctx context.Context, jobID string) error {
	id, err := e.resolve(ctx, jobID)
	if err != nil {
		return err
	}
	err = e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		j, leases, err := jobAndLeases(tx, id)
		if err != nil || j.State == ledger.JobDone {
			return err
		}
		for _, l := range leases {
			if l.State != market.Closed {
				l.Cancelled = true
				err = errors.Join(err, books.PutLease(tx, l))
			}
		}
		j.Cancel = true
		return errors.Join(err, tx.PutJob(j))
	})
	if err != nil {
		return err
	}
	if r := e.runner(id); r != nil {
		r.once.Do(func() { close(r.cancelled) })
	}
	return nil
}

// Outputs writes a job's outputs to dir, which must not exist. A *wire.Refusal
// says where there are none (Unknown) or dir is in use (BadInput).
func (e *Engine) Outputs(ctx context.Context, jobID, dir string) error {
	info, err := e.Job(ctx, jobID)
	if err != nil {
		return err
	}
	if info.Outputs == "" {
		return wire.Refuse(wire.Unknown, "job %s has no outputs (yet)", info.ID)
	}
	root, err := cid.Decode(info.Outputs)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); err == nil {
		return wire.Refuse(BadInput, "%s exists; name a folder that doesn't", dir)
	}
	err = e.space.Export(ctx, root, dir, math.MaxInt64)
	if errors.Is(err, fs.ErrExist) {
		return wire.Refuse(BadInput, "%s exists; name a folder that doesn't", dir)
	}
	if err != nil {
		return fmt.Errorf("write the outputs of job %s: %w", info.ID, err)
	}
	return nil
}
