//go:build dockertest

package docker_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/executortest"
)

// image puts an archive with the guest program and a configuration in src.
func image(t *testing.T, src *executortest.Source, c config) (*executor.Image, string) {
	program, err := os.ReadFile(guestPath)
	require.NoError(t, err)
	a := newArchive(c, file{"guest", program, 0o755})
	t.Cleanup(func() {
		if has(t, a.id) {
			removeImage(a.id)
		}
	})
	return &executor.Image{Archive: src.File(t, a.raw)}, a.id
}

// inspect looks at the container of a node's execution.
func inspect(t *testing.T, dir, id string) client.ContainerInspectResult {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer api.Close()
	r, err := api.ContainerInspect(context.Background(), "souk-"+node(dir)+"-"+id, client.ContainerInspectOptions{})
	require.NoError(t, err)
	return r
}

// What an image says of itself steers neither hooks nor Docker.
func TestHostileImageConfiguration(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	s := spec(t, src, "hostile", "show")
	s.Image, _ = image(t, src, config{
		Entrypoint: []string{"/guest"}, User: "root",
		Env:     []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all", "LD_PRELOAD=./evil.so", "OWN=kept"},
		Labels:  map[string]string{"souk.node": "another", "traefik.enable": "true"},
		Volumes: map[string]struct{}{"/data": {}, "/out/inner": {}},
	})
	s.Outputs = "/out"
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	c := inspect(t, dir, "hostile").Container
	require.Equal(t, node(dir), c.Config.Labels["souk.node"])
	require.Empty(t, c.Config.Labels["traefik.enable"])
	for _, m := range c.Mounts {
		require.Equal(t, "bind", string(m.Type), "a volume of Docker's has no limit: %s", m.Destination)
	}
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	log := logOf(t, x)
	require.Contains(t, log, "env OWN=kept\n")
	require.Contains(t, log, "env NVIDIA_VISIBLE_DEVICES=void\n")
	require.NotContains(t, log, "CAPABILITIES")
	require.NotContains(t, log, "LD_PRELOAD")
	require.NoError(t, x.Remove())
	require.NoError(t, e.Close(false))
	require.Empty(t, left(t, dir))
}

// An archive takes no name on this machine away from anybody.
func TestArchiveTakesNoNameAway(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	s := spec(t, src, "named", "exit", "0")
	var id string
	s.Image, id = image(t, src, config{Entrypoint: []string{"/guest"}, Env: []string{"A=named"}})
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	require.True(t, has(t, id))
	require.False(t, has(t, "souk-test/taken:latest"), "the name in the archive")

	// Whoever knows its ID can't run another client's image.
	other := spec(t, src, "other", "exit", "0")
	other.Owner, other.Image = "stranger", &executor.Image{Ref: "any/name@" + id}
	_, err = e.Prepare(t.Context(), other)
	require.ErrorContains(t, err, "doesn't have the image")
	mine := spec(t, src, "mine", "exit", "0")
	mine.Image = &executor.Image{Ref: "any/name@" + id}
	again, err := e.Prepare(t.Context(), mine)
	require.NoError(t, err)
	for _, x := range []executor.Execution{x, again} {
		require.NoError(t, x.Stop(t.Context()))
		require.NoError(t, x.Remove())
	}
	require.NoError(t, e.Close(false))
}

func TestImageThatCannotRun(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	s := spec(t, src, "absent")
	s.Image, _ = image(t, src, config{Entrypoint: []string{"/no/such/program"}})
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	require.Equal(t, executor.Exited, x.Result().Cause)
	require.Equal(t, 127, x.Result().ExitCode)
	require.Contains(t, logOf(t, x), `the job's program "/no/such/program" can't be run`)
	require.NoError(t, x.Remove())

	program, err := os.ReadFile(guestPath)
	require.NoError(t, err)
	foreign := newArchiveFor("s390x", config{Entrypoint: []string{"/guest"}}, file{"guest", program, 0o755})
	t.Cleanup(func() { removeImage(foreign.id) })
	s = spec(t, src, "foreign")
	s.Image = &executor.Image{Archive: src.File(t, foreign.raw)}
	_, err = e.Prepare(t.Context(), s)
	var fault *executor.JobError
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Reason, "linux/s390x")
	require.NoError(t, e.Close(false))
	require.Empty(t, left(t, dir))
}

// Links and pipes that a job leaves among its outputs lead nobody anywhere.
func TestOutputsHoldOnlyFilesAndFolders(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	e := open(t, dir, src)
	s := spec(t, src, "special", "copy", "/in", "/out/deep/file")
	s.Inputs = []executor.Input{{At: "/in", CID: src.File(t, []byte("kept"))}}
	s.Outputs = "/out"
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(x.OutputDir(), "link")))
	require.NoError(t, os.Mkdir(filepath.Join(x.OutputDir(), "locked"), 0o700))
	require.NoError(t, os.Symlink("..", filepath.Join(x.OutputDir(), "locked", "up")))
	require.NoError(t, exec.Command("mkfifo", filepath.Join(x.OutputDir(), "pipe")).Run())
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	require.Equal(t, executor.Exited, x.Result().Cause)
	require.Contains(t, x.Result().Detail, "3 links or special files")
	raw, err := os.ReadFile(filepath.Join(x.OutputDir(), "deep", "file"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(raw))
	entries, err := os.ReadDir(x.OutputDir())
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.NoError(t, x.Remove())
	require.NoError(t, e.Close(false))
}

func TestEgressHook(t *testing.T) {
	dir, src := t.TempDir(), &executortest.Source{}
	cfg := docker.Config{Dir: dir, Source: src, Node: node(dir), AllowRunc: true, Runtime: oci}
	s := spec(t, src, "outward", "tick")
	s.Egress = []string{"example.org:443"}
	e := openWith(t, cfg)
	_, err := e.Prepare(t.Context(), s)
	require.ErrorContains(t, err, "no network")
	require.NoError(t, e.Close(false))

	helper := t.TempDir()
	require.NoError(t, os.CopyFS(helper, os.DirFS(filepath.Dir(guestPath))))
	require.NoError(t, os.Chmod(filepath.Join(helper, "guest"), 0o755))
	var opened, closed []string
	cfg.Egress = func(_ context.Context, s executor.Spec) (*docker.Wiring, error) {
		opened = append(opened, s.ID+" "+strings.Join(s.Egress, ","))
		return &docker.Wiring{
			Mounts: []docker.Mount{{Source: helper, Target: "/helper"}}, ExtraHosts: []string{"example.org:127.0.0.2"},
			EntrypointPrefix: []string{"/helper/guest", "tick"}, Close: func() error { closed = append(closed, s.ID); return nil },
		}, nil
	}
	e = openWith(t, cfg)
	x, err := e.Prepare(t.Context(), s)
	require.NoError(t, err)
	c := inspect(t, dir, "outward").Container
	require.Equal(t, []string{"--", "/helper/guest", "tick", "/guest"}, c.Config.Entrypoint[4:], "what follows souk-init")
	require.Equal(t, []string{"tick"}, c.Config.Cmd)
	require.Equal(t, []string{"example.org:127.0.0.2"}, c.HostConfig.ExtraHosts)
	require.Equal(t, "none", string(c.HostConfig.NetworkMode))
	require.NoError(t, x.Start(t.Context()))
	require.NoError(t, e.Close(true))
	require.Empty(t, closed, "the container goes on using it")

	e = openWith(t, cfg)
	found, err := e.Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, []string{"outward example.org:443", "outward example.org:443"}, opened)
	require.NoError(t, found[0].Stop(t.Context()))
	require.NoError(t, found[0].Remove())
	require.Equal(t, []string{"outward"}, closed)
	require.NoError(t, e.Close(false))
	require.Empty(t, left(t, dir))
}
