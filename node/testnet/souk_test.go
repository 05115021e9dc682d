package testnet_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
)

const (
	lookAgain  = 50 * time.Millisecond
	patience   = 60 * time.Second // for what must happen
	runsWithin = 2 * time.Minute  // a whole command
)

// command is a souk process that runs.
type command struct {
	t    *testing.T
	cmd  *exec.Cmd
	args []string
	out  buffer
	err  buffer
	done chan struct{}
}

// buffer may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts souk on a data directory.
func start(t *testing.T, dir string, args ...string) *command {
	t.Helper()
	return startProgram(t, built.souk, append([]string{"--data-dir", dir}, args...)...)
}

func startProgram(t *testing.T, program string, args ...string) *command {
	t.Helper()
	return startWith(t, nil, program, args...)
}

// startWith starts a program with more variables in its environment.
func startWith(t *testing.T, env []string, program string, args ...string) *command {
	t.Helper()
	c := &command{t: t, cmd: exec.Command(program, args...), args: args, done: make(chan struct{})} //nolint:gosec // the tests' own
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir = &c.out, &c.err, built.dir
	c.cmd.Env = append(append(os.Environ(), "NO_COLOR=1"), env...)
	c.cmd.WaitDelay = time.Second
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the exit code tells
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.done
	})
	return c
}

// souk runs a command to its end.
func souk(t *testing.T, dir string, args ...string) *command {
	t.Helper()
	c := start(t, dir, args...)
	c.wait()
	return c
}

// wait gives the exit code.
func (c *command) wait() int {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(runsWithin):
		require.FailNow(c.t, "souk did not end", "%v\n%s", c.args, c.said())
	}
	return c.cmd.ProcessState.ExitCode()
}

// ends checks the exit code.
func (c *command) ends(code int) *command {
	c.t.Helper()
	require.Equal(c.t, code, c.wait(), "%v\n%s", c.args, c.said())
	return c
}

func (c *command) said() string {
	return "stdout:\n" + tail(c.out.String()) + "\nstderr:\n" + tail(c.err.String())
}

func tail(s string) string { return s[max(0, len(s)-6000):] }

func (c *command) signal(s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

func (c *command) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// events are what run --json printed so far.
func (c *command) events() (all []client.Event) {
	return decode[client.Event](c.t, c.out.String())
}

// event waits for the first event that matches.
func (c *command) event(what string, match func(client.Event) bool) client.Event {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		over := !c.running()
		for _, e := range c.events() {
			if match(e) {
				return e
			}
		}
		if over || time.Now().After(deadline) {
			require.FailNow(c.t, "souk never said: "+what, "%v\n%s", c.args, c.said())
		}
		<-time.After(lookAgain)
	}
}

func (c *command) kind(k client.EventKind) client.Event {
	c.t.Helper()
	return c.event(string(k), func(e client.Event) bool { return e.Kind == k })
}

// logged waits until the job has printed text.
func (c *command) logged(text string) {
	c.t.Helper()
	c.event("the job printed "+text, func(e client.Event) bool {
		return e.Kind == client.LogData && strings.Contains(c.log(), text)
	})
}

func (c *command) log() (log string) {
	for _, e := range c.events() {
		if e.Kind == client.LogData {
			log += string(e.Data)
		}
	}
	return log
}

// decode reads one JSON object a line. The last line may still be coming.
func decode[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		all = append(all, v)
	}
	return all
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, lookAgain, what)
}
