package client_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
)

func TestAJobIsLeasedPaidAndBroughtBack(t *testing.T) {
	cheap := newFake(t, script{price: 360_000, speed: 100, ticks: 3, output: "42"})
	dear := newFake(t, script{price: 3_600_000, speed: 100, ticks: 3, output: "42"})
	a := newActor(t, dear, cheap)
	e := a.start(nil)

	plan, err := e.Plan(t.Context(), spec(t, nil))
	require.NoError(t, err)
	require.Empty(t, plan.Code, plan.Summary)
	require.Len(t, plan.Candidates, 2)
	require.Equal(t, cheap.host.ID().String(), plan.Candidates[0].Peer)
	require.True(t, plan.Candidates[0].Chosen)
	require.True(t, plan.Candidates[0].Quoted)

	id, err := e.Submit(t.Context(), spec(t, nil), plan.ID)
	require.NoError(t, err)
	events, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.Equal(t, 0, *last.Exit)
	require.Equal(t, fakeLog, logOf(events))

	info, err := e.Job(t.Context(), id[:6])
	require.NoError(t, err)
	require.Len(t, info.Executions, 1)
	x := info.Executions[0]
	require.Equal(t, "succeeded", x.Outcome)
	require.Equal(t, x.Charged, x.Countersigned)
	require.Equal(t, x.Vouchered, x.Countersigned, "a lease that ended needs no more than it charged")
	require.Equal(t, *last.Spent, x.Countersigned)
	require.False(t, cheap.fell, "a voucher fell")

	out := filepath.Join(t.TempDir(), "outputs")
	require.NoError(t, e.Outputs(t.Context(), id, out))
	text, err := os.ReadFile(filepath.Join(out, "result.txt"))
	require.NoError(t, err)
	require.Equal(t, "42", string(text))
	require.Error(t, e.Outputs(t.Context(), id, out), "the folder exists now")
	require.Eventually(t, func() bool { return e.Active() == 0 }, waitFor, often)

	var kinds []client.EventKind
	for _, ev := range events {
		if ev.Kind != client.Transfer && ev.Kind != client.StateIs {
			kinds = append(kinds, ev.Kind)
		}
	}
	require.Contains(t, kinds, client.Leased)
	require.Contains(t, kinds, client.Ended)
}
