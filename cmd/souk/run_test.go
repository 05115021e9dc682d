package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"charm.land/fang/v2"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/wire"
)

func TestRunEndsWithTheJobsCode(t *testing.T) {
	for name, c := range map[string]struct {
		done client.Event
		want int
	}{
		"success":            {client.Event{Exit: code(0), Source: "job"}, 0},
		"job's failure":      {client.Event{Exit: code(3), Source: "job"}, 3},
		"job says 125":       {client.Event{Exit: code(125), Source: "job"}, 125},
		"code over a byte":   {client.Event{Exit: code(256), Source: "job"}, 255},
		"negative code":      {client.Event{Exit: code(-1), Source: "job"}, 255},
		"souk's own failure": {client.Event{Exit: code(125), Source: "souk", Code: "provider_failed", Text: "every execution failed"}, 125},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.node.events <- client.Event{Kind: client.LogData, Data: []byte("epoch 1\n")}
			d.ends(c.done)
			require.Equal(t, c.want, d.souk("run", "job.yaml"))
			require.Equal(t, "epoch 1\n", d.out.String(), "only the job's log is on standard output")
			require.Equal(t, "j", d.node.submitted.Name)
		})
	}
}

func TestRunFetchesOutputs(t *testing.T) {
	d := newDesk(t)
	wd, err := os.Getwd()
	require.NoError(t, err)
	d.ends(client.Event{Exit: code(0), Source: "job", Outputs: "bafy"})
	require.Zero(t, d.souk("run", "job.yaml"))
	require.Equal(t, []string{wd + "/j-job1"}, d.node.written)

	d = newDesk(t)
	d.node.outputs = wire.Refuse(wire.StorageTrouble, "the disk is full")
	d.ends(client.Event{Exit: code(0), Source: "job", Outputs: "bafy"})
	require.Equal(t, 125, d.souk("run", "job.yaml", "-o", "mine"), "outputs that were lost are no success")
	require.Contains(t, d.err.String(), "the disk is full")
}

func TestAnOutputFolderThatExistsIsRefusedBeforeAnythingIsPaid(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.Mkdir("mine", 0o700))
	require.Equal(t, 125, d.souk("run", "job.yaml", "-o", "mine"))
	require.Contains(t, d.err.String(), "exists")
	require.Nil(t, d.node.submitted)
	require.Equal(t, 125, d.souk("run", "job.yaml", "-o", "no/such/parent"))
	require.Nil(t, d.node.submitted)
}

func TestNobodyToLeaseFrom(t *testing.T) {
	d := newDesk(t)
	miss := "3 providers have the GPU, the cheapest asks 0.62/h, your limit is 0.50/h"
	d.node.plan = client.Plan{Code: "over_price", Summary: miss}
	require.Equal(t, 125, d.souk("run", "job.yaml"))
	require.Equal(t, "souk: "+miss+"\n", d.err.String())
	require.Nil(t, d.node.submitted)

	require.Equal(t, 125, d.souk("run", "--json", "job.yaml"))
	last := lastEvent(t, d)
	require.Equal(t, client.Finished, last.Kind)
	require.Equal(t, "over_price", last.Code)
	require.Equal(t, "souk", last.Source)
	require.Equal(t, 125, *last.Exit)
	require.Equal(t, miss, last.Text)
}

func lastEvent(t *testing.T, d *desk) (e client.Event) {
	lines := strings.Split(strings.TrimSpace(d.out.String()), "\n")
	for _, line := range lines {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &e))
	return e
}

func TestJSONIsOneObjectALine(t *testing.T) {
	d := newDesk(t)
	d.node.events <- client.Event{Kind: client.LogData, Data: []byte("a\nb")}
	d.ends(client.Event{Exit: code(4), Source: "job", Outputs: "bafy", Spent: amount(112)})
	require.Equal(t, 4, d.souk("run", "--json", "job.yaml"))
	require.Contains(t, d.out.String(), `"exit_source":"job"`)
	require.NotContains(t, d.out.String(), `"job":""`)
	var kinds []string
	for line := range strings.Lines(d.out.String()) {
		var e struct {
			Event string    `json:"event"`
			At    time.Time `json:"at"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.True(t, e.Event == "log" || e.Event == "done" || time.Since(e.At) < time.Minute, "%s at %s", e.Event, e.At)
		kinds = append(kinds, e.Event)
	}
	require.Equal(t, []string{"considered", "placed", "log", "outputs", "done"}, kinds)
}

func TestDetachPrintsTheID(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("run", "--detach", "job.yaml"))
	require.Equal(t, "job1\n", d.out.String())
}

func TestDryRunSendsNothing(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("run", "--dry-run", "--total", "0.2", "--env", "A=1", "--", "m.wasm", "--epochs", "5"))
	require.Contains(t, d.out.String(), "args: [--epochs, \"5\"]")
	require.Contains(t, d.out.String(), "total: 0.20")
	require.Contains(t, d.out.String(), "memory: 256MiB")
	require.Nil(t, d.node.submitted)
}

func TestAnImageIsShownWithItsDigest(t *testing.T) {
	d := newDesk(t)
	pinned := "ghcr.io/you/train@sha256:" + strings.Repeat("0a", 32)
	args := []string{"--total", "0.2", "--image", strings.Replace(pinned, "@", ":2@", 1), "--egress", "example.org:443", "--gpu", "any", "--challenge", "--", "--epochs", "5"}
	require.Zero(t, d.souk(append([]string{"run", "--dry-run"}, args...)...), d.err.String())
	require.Contains(t, d.out.String(), "image: "+pinned)
	require.Contains(t, d.out.String(), "args: [--epochs, \"5\"]")
	require.Contains(t, d.out.String(), "egress: ['example.org:443']")
	require.Contains(t, d.out.String(), "challenge: true")
	d.ends(client.Event{Exit: code(0), Source: "job"})
	require.Zero(t, d.souk(append([]string{"run"}, args...)...), d.err.String())
	require.Equal(t, pinned, d.node.submitted.Image.Ref, "what is signed has the digest")
	require.Equal(t, 2, d.souk("run", "--total", "1", "--image", "alpine@sha256:12"))
	require.Contains(t, d.err.String(), "malformed name or digest")
	require.Equal(t, 2, d.souk("run", "--total", "1", "--image", "gone.tar"))
	require.Contains(t, d.err.String(), "does not exist")
}

func TestTheFirstInterruptCancelsTheSecondLeaves(t *testing.T) {
	d := newDesk(t)
	ended := make(chan int, 1)
	go func() { ended <- d.souk("run", "job.yaml") }()
	d.node.events <- client.Event{Kind: client.LogData, Data: []byte("x")}
	require.Eventually(t, func() bool { d.node.mu.Lock(); defer d.node.mu.Unlock(); return d.node.submitted != nil }, 10*time.Second, time.Millisecond)
	interruptUntil(t, d, d.node.cancelled)
	d.ends(client.Event{Exit: code(125), Source: "souk", Code: "cancelled", Outputs: "bafy"})
	require.Equal(t, 130, <-ended)
	require.Len(t, d.node.written, 1, "what was paid for is fetched")
	require.Contains(t, d.err.String(), "\ncancelled, exit code 130\n")

	d = newDesk(t)
	go func() { ended <- d.souk("run", "job.yaml") }()
	require.Eventually(t, func() bool { d.node.mu.Lock(); defer d.node.mu.Unlock(); return d.node.submitted != nil }, 10*time.Second, time.Millisecond)
	interruptUntil(t, d, d.node.cancelled)
	d.signals <- os.Interrupt
	require.Equal(t, 130, <-ended)
	require.Empty(t, d.node.written)
}

// interruptUntil presses Ctrl-C once, as soon as run listens for it itself.
func interruptUntil(t *testing.T, d *desk, done <-chan struct{}) {
	t.Helper()
	require.Eventually(t, func() bool { return d.node.watching.Load() }, 10*time.Second, time.Millisecond)
	d.signals <- os.Interrupt
	<-done
}

func TestANodeThatStopsIsNamed(t *testing.T) {
	d := newDesk(t)
	d.node.events <- client.Event{Kind: client.Notice, Code: "node_stopped", Text: "the node is ending"}
	require.Equal(t, 125, d.souk("run", "--json", "job.yaml"))
	last := lastEvent(t, d)
	require.Equal(t, "node_stopped", last.Code)
	require.Contains(t, last.Text, "souk attach job1")
}

func TestWhoSaysNoIsNotToldOfAFailure(t *testing.T) {
	d := newDesk(t)
	a := &app{err: &d.err}
	require.NoError(t, a.answered("y"))
	require.NoError(t, a.answered("yes"))
	require.Empty(t, d.err.String())
	err := a.answered("n")
	require.Equal(t, exitDeclined, exitCode(err))
	a.showError(&d.err, fang.Styles{}, err)
	require.Equal(t, "not run; nothing was leased, nothing was paid\n", d.err.String())
}

func TestBadUsage(t *testing.T) {
	d := newDesk(t)
	for _, args := range [][]string{
		{"run"}, {"run", "a", "b"}, {"run", "gone.yaml"}, {"run", "--"}, {"run", "x", "--", "m.wasm"}, {"run", "--nonsense", "job.yaml"},
		{"run", "--max-price", "-1", "job.yaml"}, {"run", "--max-price", "1e40", "job.yaml"}, {"run", "--memory", "lots", "job.yaml"},
		{"run", "--", "gone.wasm"}, {"nonsense"}, {"node", "nonsense"}, {"receipts", "verify"}, {"receipts", "export", "-o", "x"}, {"receipts", "export", "abc"}, {"receipts", "export", "--all"}, {"receipts", "export", "--all", "abc", "-o", "x"}, {"receipts", "verify", "--all", "x"}, {"job"}, {"jobs", "x"},
		{"offers", "--gpu", "RTX:0"}, {"provide"},
	} {
		require.Equal(t, 2, d.souk(args...), "%v: %s", args, d.err.String())
		require.NotEmpty(t, d.err.String(), "%v", args)
	}
	require.Nil(t, d.node.submitted)
	require.Equal(t, 2, d.souk("jbos"))
	require.Contains(t, d.err.String(), "did you mean jobs")
	require.Equal(t, 2, d.souk("frob"))
	require.NotContains(t, d.err.String(), "did you mean")
	require.Equal(t, 2, d.souk("run", "--memry", "1Gi", "job.yaml"))
	require.Contains(t, d.err.String(), "unknown flag: --memry, did you mean --memory? usage: souk run")
	for _, args := range [][]string{{"testnet", "start", "--help"}, {"testnet", "--dir", "x", "start", "-h"}, {"frob", "--help"}} {
		require.Equal(t, 2, d.souk(args...), "%v", args)
		require.Contains(t, d.err.String(), "unknown command")
	}
	for _, args := range [][]string{{"--help"}, {"testnet", "--help"}, {"testnet", "--dir", "x", "--help"}, {"testnet", "up", "--help"}, {"help", "run"}, {"completion", "--help"}, {"run", "--help"}} {
		require.Zero(t, d.souk(args...), "%v: %s", args, d.err.String())
		require.Contains(t, d.out.String(), "USAGE", "%v", args)
	}
}
