//go:build dockertest

package hostile_test

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
)

// busy are programs that never end and keep the container's first process from
// its work as well as they can.
var busy = []string{"freeze", "orphan-flood", "signal-flood", "thread-hold"}

// aloneFor is how long a container may go on once its time is up: 5 s to spare,
// and what a busy machine takes.
const aloneFor = 2 * time.Minute

// endAlone has jobs run out of time while their node is gone: nobody else is
// there to end them. The next node finds them ended.
func endAlone(t *testing.T, runtime string) {
	s := newSuite(t, runtime)
	var ids []string
	for _, name := range busy {
		spec := s.spec(behaviour{name: name, adjust: func(s *executor.Spec) { s.Limits.Time = 2 * time.Second }})
		x, err := s.exec.Prepare(t.Context(), spec)
		require.NoError(t, err, name)
		require.NoError(t, x.Start(t.Context()), name)
		ids = append(ids, s.outside.traces(t.Context(), s.node, spec.ID).container)
	}
	require.NoError(t, s.exec.Close(true))
	ctx, cancel := context.WithTimeout(t.Context(), aloneFor)
	defer cancel()
	for i, id := range ids {
		w := s.outside.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case <-w.Result:
		case err := <-w.Error:
			t.Errorf("%s on %s goes on: %v", busy[i], runtime, err)
		}
	}
	e, err := docker.New(s.config)
	require.NoError(t, err)
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, len(busy))
	for _, x := range found {
		<-x.Done()
		require.Equal(t, executor.LimitTime, x.Result().Cause, x.Result().Detail)
		require.NoError(t, x.Remove())
	}
	require.NoError(t, e.Close(false))
	require.Empty(t, s.outside.left(t.Context(), s.node), "nothing is left")
}

func TestRuncAlone(t *testing.T) { endAlone(t, "runc") }
