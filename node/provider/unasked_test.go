package provider_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/provider"
)

// loud keeps what a provider logs at warn or above.
type loud struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *loud) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *loud) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A machine without Docker is no news at every start, unless jobs ran on it.
func TestAnExecutorThatIsntThereIsOnlyNewsWhereJobsRanOnIt(t *testing.T) {
	const warning = "executions of before can't be looked for"
	var log loud
	s, docker := newYard(t, func(c *provider.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	docker.fall(errors.New("the Docker daemon doesn't answer"))
	g := newGuest(t, s)
	wasm := g.lease()
	g.attach(wasm, 0)
	s.started()
	s.restart()
	require.NotContains(t, log.said(), warning, "only a WASM job ran")
	s.started().exit(executor.Exited, 0)

	docker.fall(nil)
	s.restart()
	g = newImageGuest(t, s)
	g.attach(g.leaseImage(), 0)
	require.Eventually(t, func() bool { x := docker.only(); return x != nil && x.began() }, time.Minute, 5*time.Millisecond)
	docker.fall(errors.New("the Docker daemon doesn't answer"))
	s.restart()
	require.Contains(t, log.said(), warning)
}
