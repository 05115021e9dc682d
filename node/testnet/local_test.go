package testnet_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node"
	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/testnet"
	"souk/protocol/market"
)

func newLocal(t *testing.T, providers, clients int) *testnet.Local {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	l, err := testnet.NewLocal(t.Context(), testnet.LocalOptions{
		Dir: t.TempDir(), Sandbox: built.sandbox, Providers: providers, Clients: clients, Tick: time.Second, Log: log,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func hello() jobfile.Spec {
	return jobfile.Spec{
		Name: "hello", WASM: built.hello, Args: []string{"world"}, Outputs: "/out", CPU: 1, Memory: 256 << 20, Disk: 64 << 20,
		AllowSimulated: true, Time: time.Minute, Total: market.NewAmount(1_000_000), Region: "any", Retries: 2,
	}
}

// finish watches a job to its end.
func finish(t *testing.T, n *node.Node, id string) (end client.Event, log string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	events, err := n.Client().Watch(ctx, id, 0)
	require.NoError(t, err)
	for e := range events {
		if e.Kind == client.LogData {
			log += string(e.Data)
		}
		end = e
	}
	require.Equal(t, client.Finished, end.Kind, "the watch ended with %+v", end)
	return end, log
}

func TestAJobGoesThroughTheWholeMarket(t *testing.T) {
	l := newLocal(t, 2, 1)
	c := l.Clients[0]
	plan, err := c.Client().Plan(t.Context(), hello())
	require.NoError(t, err)
	require.Empty(t, plan.Code, plan.Summary)
	require.Len(t, plan.Candidates, 2)
	require.True(t, plan.Candidates[0].Chosen, "the best is first")

	id, err := c.Client().Submit(t.Context(), hello(), plan.ID)
	require.NoError(t, err)
	end, log := finish(t, c, id)
	require.Equal(t, "job", end.Source, "%+v", end)
	require.Zero(t, *end.Exit)
	require.Contains(t, log, "world")

	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, c.Client().Outputs(t.Context(), id, out))
	require.FileExists(t, filepath.Join(out, "hello.txt"))

	b := c.Backend(func() {})
	receipts, err := b.Receipts(t.Context())
	require.NoError(t, err)
	require.Len(t, receipts, 1)
	bundle, err := b.Bundle(t.Context(), receipts[0].Lease[:12])
	require.NoError(t, err)
	sum, err := bundle.Verify()
	require.NoError(t, err)
	require.Equal(t, market.Succeeded, sum.Outcome)
	require.Equal(t, sum.Charged, sum.Countersigned)

	for _, p := range l.Providers { // both sides' books agree
		theirs, err := p.Backend(func() {}).Receipts(t.Context())
		require.NoError(t, err)
		for _, r := range theirs {
			require.Equal(t, receipts[0].Charged, r.Countersigned)
			require.Equal(t, receipts[0].Lease, r.Lease)
		}
	}
}

func TestTwoProvidersLeaseFromEachOther(t *testing.T) {
	l := newLocal(t, 2, 0)
	ids := make([]string, 2)
	for i, n := range l.Providers {
		var err error
		ids[i], err = n.Client().Submit(t.Context(), hello(), "")
		require.NoError(t, err)
	}
	for i, n := range l.Providers {
		end, _ := finish(t, n, ids[i])
		require.Equal(t, "job", end.Source, "%+v", end)
		info, err := n.Client().Job(t.Context(), ids[i])
		require.NoError(t, err)
		require.NotEqual(t, n.ID().String(), info.Executions[0].Peer, "a node doesn't lease from itself")
	}
}
