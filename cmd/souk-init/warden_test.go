//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/executor/docker/pid1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.loop")) }

// watched runs a program as this process's child, as the warden's job; it is
// waited for by the warden alone.
func watched(t *testing.T, program ...string) *warden {
	cmd := exec.Command(program[0], program[1:]...)
	signals := listen()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // one that ended already is reaped, or will be with this process
		_, _ = cmd.Process.Wait()
	})
	path := filepath.Join(t.TempDir(), "sign")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return &warden{job: cmd.Process.Pid, until: time.Now().Add(time.Hour), sign: newSign(path, time.Hour), signals: signals}
}

func TestTheStatusIsTheJobsOwn(t *testing.T) {
	for status, script := range map[int]string{
		0: "exit 0", 7: "exit 7", 255: "exit 255", 128 + 15: "kill -TERM $$", 128 + 9: "kill -KILL $$", 128 + 40: "kill -40 $$",
		3: "trap 'exit 3' USR1; kill -USR1 $$; sleep 60",
	} {
		require.Equal(t, status, watched(t, "bash", "-c", script).run(), script)
	}
}

func TestSignalsAreTheJobs(t *testing.T) {
	w := watched(t, "bash", "-c", "trap 'exit 9' USR2; while :; do sleep 0.05; done")
	ended := make(chan int, 1)
	go func() { ended <- w.run() }()
	again := time.NewTicker(50 * time.Millisecond) // the first may come before the trap is set, and end it with 128+12
	defer again.Stop()
	for {
		select {
		case status := <-ended:
			require.Contains(t, []int{9, 128 + int(syscall.SIGUSR2)}, status)
			return
		case <-again.C:
			require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR2))
		}
	}
}

func TestTheTimeIsUp(t *testing.T) {
	w := watched(t, "sleep", "600")
	w.until = time.Now()
	require.Equal(t, pid1.ExitKilled, w.run())
}

func TestAJobThatKeepsTheWardenBusyIsOutOfTimeAllTheSame(t *testing.T) {
	w := watched(t, "sleep", "600")
	w.until = time.Now().Add(300 * time.Millisecond)
	w.signals.child = make(chan os.Signal, 1)
	w.signals.others = make(chan os.Signal)
	stop := make(chan struct{})
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for {
			select {
			case w.signals.child <- syscall.SIGCHLD:
			case <-stop:
				return
			}
		}
	}()
	require.Equal(t, pid1.ExitKilled, w.run())
	close(stop)
	<-fed
}

func TestTheNodeIsGone(t *testing.T) {
	w := watched(t, "sleep", "600")
	w.sign.most = 0
	require.Equal(t, pid1.ExitKilled, w.run())
}

func TestAnyChangeOfTheSignCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sign")
	s := newSign(path, time.Hour)
	require.False(t, s.gone())
	long := func() { s.seen = s.seen.Add(-2 * time.Hour) }
	long()
	s.look()
	require.True(t, s.gone(), "there is none")

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	s.look()
	require.False(t, s.gone())
	long()
	s.look()
	require.True(t, s.gone(), "it stays as it is")

	past := time.Now().Add(-24 * time.Hour) // the machine's clock was set back
	require.NoError(t, os.Chtimes(path, past, past))
	s.look()
	require.False(t, s.gone())

	require.NoError(t, os.Remove(path))
	long()
	s.look()
	require.True(t, s.gone())
}
