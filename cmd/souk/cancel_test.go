package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
)

// Who cancelled a job, and who looks at it later, are told the same.
func TestACancelledJobHasOneNumber(t *testing.T) {
	d := newDesk(t)
	d.node.jobs = []control.JobInfo{{
		ID: "job1", Name: "j", State: "done", Created: time.Now(), Exit: code(client.ExitCancelled), Source: client.SourceSouk, Code: "cancelled",
		Executions: []control.ExecutionInfo{{Attempt: 1, State: "closed", Outcome: "cancelled", Vouchered: *amount(28)}},
	}}
	require.Zero(t, d.souk("jobs"))
	require.Regexp(t, `cancelled .* 130\n$`, d.out.String())
	require.Zero(t, d.souk("job", "job1"))
	require.Contains(t, d.out.String(), "state     cancelled\n")
	require.Contains(t, d.out.String(), "exit      130\n")
	require.Regexp(t, `1 .* 0\.000028 +0\.000028`, d.out.String(), "COST is what run says that it cost")

	require.Zero(t, d.souk("cancel", "job1"))
	require.Equal(t, "job job1 had ended already: cancelled, exit code 130\n", d.out.String())
	d.ends(client.Event{Exit: code(client.ExitCancelled), Source: client.SourceSouk, Code: "cancelled"})
	require.Equal(t, exitInterrupt, d.souk("attach", "job1"))
	require.Contains(t, d.err.String(), "\ncancelled, exit code 130\n")
	select {
	case <-d.node.cancelled:
		require.Fail(t, "a job that has ended was cancelled")
	default:
	}
}
