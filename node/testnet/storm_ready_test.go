package testnet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/control"
)

// wereReady judges the restarts: half of them were ready soon. How long the others
// took a busy machine decides, so they are only told; what a node had to work
// until it was ready no other process makes longer.
func (s *storm) wereReady() {
	slices.Sort(s.took)
	slices.Sort(s.worked)
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	s.t.Logf("restarts were ready after %s (median), %s (95 in 100) and %s (longest), for which they worked %s at most",
		ms(share(s.took, 50)), ms(share(s.took, 95)), ms(share(s.took, 100)), ms(share(s.worked, 100)))
	require.Less(s.t, share(s.took, 50), readySoon, "restarts took %s", s.took)
	require.Less(s.t, share(s.worked, 100), readySoon, "restarts cost %s of CPU", s.worked)
}

// share is the least of sorted times that so many in 100 of them don't exceed.
func share(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1]
}

// cpuOf is the CPU time that a process has used.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third on, as proc_pid_stat(5) counts them
	ticks := 0
	for _, i := range []int{14 - 3, 15 - 3} { // utime and stime
		n, err := strconv.Atoi(fields[i])
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// settles waits until the providers, which live, have no lease in hand and no
// execution, now that all jobs have ended. A provider that doesn't reach its
// client asks it once a minute in the end, and keeps the execution until then.
func (s *storm) settles() {
	began := time.Now()
	for _, name := range s.providers {
		require.Eventually(s.t, func() bool {
			st, err := control.NewClient(s.dir(name)).Status(s.t.Context())
			left, bad := os.ReadDir(filepath.Join(s.dir(name), "executions", "jobs"))
			return err == nil && bad == nil && st.Leases == 0 && len(left) == 0
		}, 3*patience, lookAgain, "%s has a lease in hand, or an execution left", name)
	}
	s.t.Logf("no execution was left %s after the last job had ended, with all providers alive", time.Since(began).Round(time.Millisecond))
}
