//go:build dockertest

package docker_test

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/executortest"
)

// runtimes are those of the daemon that souk knows.
func runtimes(t *testing.T) (all []string) {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer api.Close()
	info, err := api.Info(t.Context(), client.InfoOptions{})
	require.NoError(t, err)
	for _, name := range []string{"runc", "runsc"} {
		if _, known := info.Info.Runtimes[name]; known {
			all = append(all, name)
		}
	}
	return all
}

// leaves starts a job on a node that then goes away.
func leaves(t *testing.T, cfg docker.Config, src *executortest.Source) {
	e := openWith(t, cfg)
	x, err := e.Prepare(t.Context(), spec(t, src, "alone", "sleep", "100000"))
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	require.NoError(t, e.Close(true))
}

// A container whose node never comes back ends all the same, on every runtime;
// one that comes back late says why.
func TestContainersDontOutlastTheirNodeForLong(t *testing.T) {
	known := runtimes(t)
	configs := make([]docker.Config, len(known))
	src := &executortest.Source{}
	for i, runtime := range known {
		dir := t.TempDir()
		configs[i] = docker.Config{Dir: dir, Source: src, Node: node(dir), AllowRunc: true, Runtime: runtime, Outlast: 8 * time.Second}
		leaves(t, configs[i], src)
	}
	for _, cfg := range configs {
		require.Eventually(t, func() bool { return !runs(t, cfg.Dir) }, 2*time.Minute, 10*beat, cfg.Runtime)
		e := openWith(t, cfg)
		found, err := e.Recover(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 1)
		<-found[0].Done()
		r := found[0].Result()
		require.Equal(t, executor.Failed, r.Cause, "it is not the job's doing")
		require.Contains(t, r.Detail, "node was away for more than 8s")
		require.NoError(t, found[0].Remove())
		require.NoError(t, e.Close(false))
	}
}

// While the node lives, or is back in time, nothing ends early.
func TestContainersGoOnWhileTheirNodeLives(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	cfg := docker.Config{Dir: dir, Source: src, Node: node(dir), AllowRunc: true, Runtime: oci, Outlast: 8 * time.Second}
	leaves(t, cfg, src)
	e := openWith(t, cfg)
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	x := found[0]
	require.Eventually(t, func() bool { return x.Usage().Ran > 2*cfg.Outlast }, 2*time.Minute, 10*beat)
	require.True(t, x.Usage().Running)
	require.NoError(t, x.Stop(context.WithoutCancel(t.Context())))
	require.Equal(t, executor.Stopped, x.Result().Cause)
	require.NoError(t, x.Remove())
	require.NoError(t, e.Close(false))
}

// What steers Go programs reaches the job, and not its container's first process.
func TestTheFirstProcessIsNotSteered(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	s := spec(t, src, "steered", "show")
	s.Image, _ = image(t, src, config{Entrypoint: []string{"/guest"}, Env: []string{"GOMEMLIMIT=1GiB", "GODEBUG=image=1"}})
	s.Env = map[string]string{"GODEBUG": "job=1"}
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	require.NotContains(t, inspect(t, dir, "steered").Container.Config.Env, "GODEBUG=job=1")
	require.NotContains(t, inspect(t, dir, "steered").Container.Config.Env, "GOMEMLIMIT=1GiB")
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	log := logOf(t, x)
	require.Contains(t, log, "env GODEBUG=job=1\n")
	require.Contains(t, log, "env GOMEMLIMIT=1GiB\n")
	require.NoError(t, x.Remove())
	require.NoError(t, e.Close(false))
}
