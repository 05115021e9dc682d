package testnet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// Both providers answer challenges under a lease alone. The cheaper one makes
// its answers up; the honest one computes them on this machine's CPU.
func TestChallengesUnderALease(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 1, Clients: 1, Tick: time.Second})
	honest, _ := w.supply("honest", "provider: {challenge: lease}\n", "--price", "2.00/h", "--simulate-gpu", "RTX 5090", "--tick", "1s")
	w.cheat("guess", "RTX 5090")
	dir := w.dir("client-1")
	eventually(t, "the client finds both", func() bool {
		n := 0
		for _, c := range decode[client.Candidate](t, souk(t, dir, "offers", "--all", "--allow-simulated", "--json").ends(0).out.String()) {
			if c.Challenge == "lease" {
				n++
			}
		}
		return n == 2
	})
	run := souk(t, dir, worker("1s", "--gpu", "RTX5090", "--challenge", "--", "-exit", "8")...).ends(8)
	job := w.job("client-1", run.kind(client.Finished).Job)
	require.Len(t, job.Executions, 2)
	liar, last := job.Executions[0], job.Executions[1]
	require.Equal(t, "provider_failed", liar.Outcome)
	require.Contains(t, liar.Text, "caught (wrong_product)")
	require.Equal(t, honest.Peer, last.Peer)
	require.Contains(t, run.out.String(), "challenged: 1x rtx-5090 multiply", "before the process began")
	require.Contains(t, souk(t, dir, "offers", "--all", "--allow-simulated", "--json").ends(0).out.String(), "it cheated this node before: a challenge")
	w.agree([]string{"client-1"}, []string{"honest"})
}
