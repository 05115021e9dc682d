package control_test

import (
	"context"
	"sync"

	"souk/node/client"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/wire"
)

// fakeNode is a Backend that remembers what it was asked.
type fakeNode struct {
	mu        sync.Mutex
	submitted []jobfile.Spec
	plans     []string
	need      control.Need
	dir       string
	shut      bool
	paid      []string // what was decided on disputes

	events  chan client.Event // what Watch gives
	offset  uint64
	watched chan context.Context
	fail    error
}

func newFakeNode() *fakeNode {
	return &fakeNode{events: make(chan client.Event), watched: make(chan context.Context, 8)}
}

func (f *fakeNode) Status(context.Context) (control.Status, error) {
	return control.Status{PID: 7, Network: "test", Providing: &control.Supply{PricePerHour: market.NewAmount(400_000)}}, f.fail
}

func (f *fakeNode) Doctor(context.Context) ([]control.Check, error) {
	return []control.Check{{Name: "clock", OK: true, Text: "right"}}, f.fail
}

func (f *fakeNode) Shutdown(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut = true
	return f.fail
}

func (f *fakeNode) Offers(_ context.Context, need control.Need) ([]client.Candidate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.need = need
	return []client.Candidate{{Peer: "a", PricePerHour: market.NewAmount(1)}}, f.fail
}

func (f *fakeNode) Plan(_ context.Context, spec jobfile.Spec) (client.Plan, error) {
	return client.Plan{ID: "plan of " + spec.Name, Candidates: []client.Candidate{{Peer: "a", Chosen: true}}}, f.fail
}

func (f *fakeNode) Submit(_ context.Context, spec jobfile.Spec, plan string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.submitted, f.plans = append(f.submitted, spec), append(f.plans, plan)
	return "job-1", f.fail
}

func (f *fakeNode) Jobs(context.Context) ([]control.JobInfo, error) {
	return []control.JobInfo{{ID: "job-1", Name: "digits", Executions: []control.ExecutionInfo{{Attempt: 1}}}}, f.fail
}

func (f *fakeNode) Job(_ context.Context, id string) (control.JobInfo, error) {
	if id != "job-1" {
		return control.JobInfo{}, wire.Refuse(wire.Unknown, "no job's ID begins with %q", id).Near("there is job-1")
	}
	return control.JobInfo{ID: id, Executions: []control.ExecutionInfo{}}, nil
}

func (f *fakeNode) Watch(ctx context.Context, _ string, offset uint64) (<-chan client.Event, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	f.mu.Lock()
	f.offset = offset
	f.mu.Unlock()
	f.watched <- ctx
	return f.events, nil
}

func (f *fakeNode) Cancel(context.Context, string) error { return f.fail }

func (f *fakeNode) Outputs(_ context.Context, _, dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dir = dir
	return f.fail
}

func (f *fakeNode) Receipts(context.Context) ([]control.ReceiptInfo, error) {
	return []control.ReceiptInfo{{Lease: "l", Seq: 3}}, f.fail
}

func (f *fakeNode) Bundle(context.Context, string) (market.Bundle, error) {
	return markettest.Bundle(markettest.Plan{Units: []uint64{1000, 2000}}), f.fail
}

func (f *fakeNode) Disputes(context.Context) ([]control.DisputeInfo, error) {
	return []control.DisputeInfo{{Lease: "l", Owed: market.NewAmount(30_000)}}, f.fail
}

func (f *fakeNode) PayDisputed(_ context.Context, lease string, most market.Amount) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paid = append(f.paid, lease+" "+most.String())
	return f.fail
}

func (f *fakeNode) LeaveDisputed(_ context.Context, lease string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paid = append(f.paid, lease+" left")
	return f.fail
}

func (f *fakeNode) Leases(context.Context) ([]control.LeaseInfo, error) {
	return []control.LeaseInfo{{Lease: "l"}}, f.fail
}

func (f *fakeNode) LeaseEvents(context.Context) (<-chan control.LeaseEvent, error) {
	events := make(chan control.LeaseEvent, 1)
	events <- control.LeaseEvent{Kind: "leased", Lease: "l"}
	close(events)
	return events, f.fail
}
