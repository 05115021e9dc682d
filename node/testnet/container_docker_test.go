//go:build dockertest

package testnet_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dockerclient "github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/executor/docker"
	"souk/node/testnet"
)

// countImage is the archive of examples/container's image, made without Docker.
var countImage = sync.OnceValues(func() (string, error) {
	program, err := build("count", "../../examples/container/count", "CGO_ENABLED=0")
	if err != nil {
		return "", err
	}
	archive := filepath.Join(built.dir, "count.tar")
	_, err = exec.Command("go", "run", "../../examples/container/pack", program, archive).Output() //nolint:gosec // the tests' own
	return archive, err
})

// counting is the command line of a container that runs for some seconds.
func counting(t *testing.T, seconds string, more ...string) []string {
	t.Helper()
	archive, err := countImage()
	require.NoError(t, err)
	words := filepath.Join(t.TempDir(), "words.txt")
	require.NoError(t, os.WriteFile(words, []byte("to be or not to be"), 0o600))
	args := []string{
		"run", "--json", "--image", archive, "--input", words + ":/in/words.txt", "--outputs", "/out", "--memory", "64MiB", "--disk", "64MiB",
		"--total", "1", "--time", "2m", "-o", filepath.Join(t.TempDir(), "out"),
	}
	cut := len(more)
	for i, m := range more {
		if m == "--" {
			cut = i
		}
	}
	args = append(append(args, more[:cut]...), "--", "-seconds", seconds)
	if cut < len(more) {
		args = append(args, more[cut+1:]...)
	}
	return args
}

// containers are those of one lease.
func containers(t *testing.T, lease string) []string {
	t.Helper()
	api, err := dockerclient.New(dockerclient.FromEnv)
	require.NoError(t, err)
	defer func() { require.NoError(t, api.Close()) }()
	list, err := api.ContainerList(t.Context(), dockerclient.ContainerListOptions{
		All: true, Filters: make(dockerclient.Filters).Add("label", docker.LabelExecution+"="+strings.TrimPrefix(lease, "0x")),
	})
	require.NoError(t, err)
	var ids []string
	for _, c := range list.Items {
		ids = append(ids, c.ID)
	}
	return ids
}

// firstProcess is souk-init, beside the tests' souk.
var firstProcess = sync.OnceValues(func() (string, error) { return build("souk-init", "../../cmd/souk-init", "CGO_ENABLED=0") })

// dockerMarket is one provider that runs images, and one client.
func dockerMarket(t *testing.T, tick time.Duration) *world {
	t.Helper()
	_, err := firstProcess()
	require.NoError(t, err)
	return up(t, testnet.Options{Providers: 1, Clients: 1, Tick: tick, LostAfter: time.Minute, Docker: true})
}

func TestAContainerRunsWithInputsOutputsAndExitCode(t *testing.T) {
	w := dockerMarket(t, time.Second)
	args := counting(t, "2", "--gpu", "RTX4090", "--allow-simulated")
	run := start(t, w.dir("client-1"), args...)
	run.ends(0)
	require.Contains(t, run.log(), "1: 6 words\n2: 6 words\n")
	out, err := os.ReadFile(filepath.Join(args[indexOf(args, "-o")+1], "count.txt"))
	require.NoError(t, err)
	require.Equal(t, "6\n", string(out))
	lease := run.kind(client.Leased).Lease
	eventually(t, "its container is removed", func() bool { return len(containers(t, lease)) == 0 })

	failed := start(t, w.dir("client-1"), counting(t, "1", "--", "-exit", "3")...)
	failed.ends(3)
	require.Equal(t, "job", failed.kind(client.Finished).Source, "the job's own failure isn't tried again")
	w.agree([]string{"client-1"}, []string{"provider-1"})
}

// The container is the Docker daemon's child: it goes on while its provider's
// node is dead, and is found again.
func TestAContainerOutlivesItsNode(t *testing.T) {
	w := dockerMarket(t, 10*time.Second) // what is paid ahead lasts while the node is away
	run := start(t, w.dir("client-1"), counting(t, "25")...)
	run.logged("2: 6 words")
	lease := run.kind(client.Leased).Lease
	before := containers(t, lease)
	require.Len(t, before, 1)
	w.kill("provider-1")
	require.Equal(t, before, containers(t, lease), "it lives on")
	w.restart("provider-1")
	require.Equal(t, before, containers(t, lease))
	run.ends(0)
	require.Equal(t, 25, strings.Count(run.log(), "6 words\n"), "no line is lost, none comes twice")
	eventually(t, "its container is removed", func() bool { return len(containers(t, lease)) == 0 })
	w.agree([]string{"client-1"}, []string{"provider-1"})
}

// A container that ran kept its provider's folder busy, went on, and left its disk mounted.
func TestDownTakesRunningContainersAlong(t *testing.T) {
	_, err := firstProcess()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "net")
	s, err := testnet.Up(t.Context(), testnet.Options{Dir: dir, Souk: built.souk, Providers: 1, Clients: 1, LostAfter: time.Minute, Docker: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := testnet.Down(context.Background(), dir); !errors.Is(err, testnet.ErrNone) {
			require.NoError(t, err)
		}
	})
	run := start(t, filepath.Join(dir, "client-1"), counting(t, "100")...)
	run.logged("1: 6 words")
	lease := run.kind(client.Leased).Lease
	require.Len(t, containers(t, lease), 1)
	was, hadHost := os.LookupEnv("DOCKER_HOST")
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock") // who ends it may have another environment
	socket := s.DockerHost
	away := filepath.Join(t.TempDir(), "away.sock")
	require.ErrorContains(t, downAt(t, dir, socket, "unix://"+away), "repeat `souk testnet down`")
	require.NoError(t, downAt(t, dir, "unix://"+away, socket), "where Docker is back, down goes on")
	require.NoDirExists(t, dir)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), dir)
	if t.Setenv("DOCKER_HOST", was); !hadHost {
		require.NoError(t, os.Unsetenv("DOCKER_HOST"))
	}
	require.Empty(t, containers(t, lease))
}

// downAt ends the testnet in dir as if Docker were at another place than before.
func downAt(t *testing.T, dir, before, now string) error {
	path := filepath.Join(dir, "testnet.json")
	state, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(state), before)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(state), before, now)), 0o600))
	return testnet.Down(t.Context(), dir)
}

func TestACancelledContainerLeavesNothing(t *testing.T) {
	w := dockerMarket(t, time.Second)
	run := start(t, w.dir("client-1"), counting(t, "100")...)
	run.logged("1: 6 words")
	lease := run.kind(client.Leased).Lease
	require.Len(t, containers(t, lease), 1)
	run.signal(syscall.SIGINT)
	run.ends(130)
	eventually(t, "its container is removed", func() bool { return len(containers(t, lease)) == 0 })
	w.agree([]string{"client-1"}, []string{"provider-1"})
}
