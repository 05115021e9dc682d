package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/client"
	"souk/node/config"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is the smallest module with a _start.
const program = "\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x07\x0a\x01\x06_start\x00\x00" + "\x0a\x04\x01\x02\x00\x0b"

// fakeNode answers commands with what a test gives it.
type fakeNode struct {
	control.Backend // what no test asks for

	mu        sync.Mutex
	plan      client.Plan
	events    chan client.Event
	submitted *jobfile.Spec
	receipt   *control.ReceiptInfo // in place of the usual one
	cancelled chan struct{}
	written   []string // folders of outputs
	jobs      []control.JobInfo
	bundle    market.Bundle
	outputs   error
	watching  atomic.Bool
	stop      func() // what Shutdown does
	setUp     config.Config
}

func (f *fakeNode) Status(context.Context) (control.Status, error) {
	return control.Status{PID: 1, Network: "souk", Reach: "from everywhere", Peer: "me", Settings: settingsOf(f.setUp)}, nil
}

func (f *fakeNode) Plan(context.Context, jobfile.Spec) (client.Plan, error) { return f.plan, nil }

func (f *fakeNode) Submit(_ context.Context, s jobfile.Spec, _ string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.submitted = &s
	return "job1", nil
}

func (f *fakeNode) Watch(ctx context.Context, _ string, _ uint64) (<-chan client.Event, error) {
	f.watching.Store(true)
	events := make(chan client.Event, cap(f.events)+2)
	for _, e := range []client.Event{{Kind: client.Placed, Text: "j"}, {Kind: client.Considered, Plan: &f.plan, Attempt: 1}} {
		e.Job, e.At = "job1", time.Now()
		events <- e
	}
	go func() {
		defer close(events)
		for {
			select {
			case e, ok := <-f.events:
				if !ok {
					return
				}
				events <- e // there is room
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}

func (f *fakeNode) Cancel(context.Context, string) error {
	close(f.cancelled)
	return nil
}

func (f *fakeNode) Outputs(_ context.Context, _, dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = append(f.written, dir)
	return f.outputs
}

func (f *fakeNode) Shutdown(context.Context) error {
	f.stop()
	return nil
}

func (f *fakeNode) Jobs(context.Context) ([]control.JobInfo, error) { return f.jobs, nil }

func (f *fakeNode) Job(_ context.Context, id string) (control.JobInfo, error) {
	for _, j := range f.jobs {
		if j.ID == id {
			return j, nil
		}
	}
	return control.JobInfo{}, wire.Refuse(wire.Unknown, "no job's ID begins with %q", id)
}

func (f *fakeNode) Receipts(context.Context) ([]control.ReceiptInfo, error) {
	r := control.ReceiptInfo{Lease: "abc", Role: "client", Seq: 2}
	if f.receipt != nil {
		r = *f.receipt
	}
	return []control.ReceiptInfo{r}, nil
}

func (f *fakeNode) Bundle(context.Context, string) (market.Bundle, error) { return f.bundle, nil }

// desk is souk's command line beside a fake node.
type desk struct {
	t       *testing.T
	dir     string // data directory
	node    *fakeNode
	signals chan os.Signal
	held    func(string) (bool, error)
	out     bytes.Buffer
	err     bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, dir: t.TempDir(), signals: make(chan os.Signal, 4), node: &fakeNode{
		events: make(chan client.Event, 32), cancelled: make(chan struct{}), bundle: markettest.Bundle(markettest.Plan{Units: []uint64{1000, 2000}}),
		plan: client.Plan{ID: "p", Summary: "1 provider of 1 can be leased", Candidates: []client.Candidate{{Peer: "a", Chosen: true}}},
	}}
	require.NoError(t, os.WriteFile(keyFile(d.dir), []byte("key"), 0o600))
	s, err := control.Serve(d.dir, d.node, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	d.node.stop = sync.OnceFunc(func() { close(stop) })
	go func() {
		defer close(stopped)
		<-stop
		assert.NoError(t, s.Close())
	}()
	t.Cleanup(func() { d.node.stop(); <-stopped })
	work := t.TempDir()
	t.Chdir(work)
	require.NoError(t, os.WriteFile(filepath.Join(work, "m.wasm"), []byte(program), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(work, "job.yaml"),
		[]byte("name: j\ntask: {wasm: m.wasm}\noutputs: /out\nlimits: {total: 0.10}\n"), 0o600))
	return d
}

// souk runs one command line and gives its exit code.
func (d *desk) souk(args ...string) int {
	d.out.Reset()
	d.err.Reset()
	a := &app{in: &bytes.Buffer{}, out: &d.out, err: &d.err, signals: d.signals, held: d.held}
	return a.main(append([]string{"--data-dir", d.dir}, args...))
}

// ends makes the job end so.
func (d *desk) ends(e client.Event) {
	e.Kind, e.Job = client.Finished, "job1"
	d.node.events <- e
	close(d.node.events)
}

func code(n int) *int { return &n }

func amount(n uint64) *market.Amount { a := market.NewAmount(n); return &a }
