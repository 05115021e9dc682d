package device

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A GPU's ID that no other run of these tests has.
func someID(t *testing.T) string { return fmt.Sprintf("GPU-%s-%d", t.Name(), os.Getpid()) }

func TestOfTwoProcessesOneOffersADevice(t *testing.T) {
	id := someID(t)
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holdEnv+"="+id)
	in, err := other.StdinPipe()
	require.NoError(t, err)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", line)

	program := filepath.Base(os.Args[0])
	program = program[:min(len(program), 15)] // as much of it as the kernel keeps
	want := fmt.Sprintf("process %d (%s) offers it; stop that one, or name the device in devices.reserve of one of the two", other.Process.Pid, program)
	_, err = lockDevice(id)
	require.EqualError(t, err, want)
	require.EqualError(t, checkDevice(id), want)

	require.NoError(t, other.Process.Kill(), "the kernel frees what a killed process held")
	_ = in.Close()
	_ = other.Wait()
	l, err := lockDevice(id)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, checkDevice(id))
}

func TestManyMayAskWhoHoldsADevice(t *testing.T) {
	id := someID(t)
	l, err := lockDevice(id)
	require.NoError(t, err)
	for range 10 * backlog {
		require.Error(t, checkDevice(id))
	}
	require.EqualError(t, checkDevice(id), (&HeldError{}).Error(), "too many asked before the holder looked")
	l.forget()
	var held *HeldError
	require.ErrorAs(t, checkDevice(id), &held)
	require.Equal(t, os.Getpid(), held.PID)
	require.NoError(t, l.Close())
}

func TestIDsOfAnyLengthAreToldApart(t *testing.T) {
	long := strings.Repeat("x", 70)
	a, err := lockDevice(long + "a")
	require.NoError(t, err)
	b, err := lockDevice(long + "b")
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	c, err := lockDevice(strings.Repeat("x", 1000))
	require.NoError(t, err, "and one too long for the kernel has a lock as well")
	require.NoError(t, c.Close())
}
