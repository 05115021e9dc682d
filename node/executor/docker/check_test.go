package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/node/blob"
	"souk/node/executor"
)

// nothing is a source without data.
type nothing struct{}

func (nothing) Export(context.Context, string, cid.Cid, string, int64) error { return os.ErrNotExist }

// said is what a daemon answers.
type said struct {
	api, runc, commit string
	seccomp           bool
	runtimes          []string
}

func (s said) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", s.api)
	var answer any
	switch {
	case strings.HasSuffix(r.URL.Path, "/version"):
		answer = map[string]any{"Version": "20.10.24", "ApiVersion": s.api, "Arch": "amd64", "Components": []any{
			map[string]any{"Name": "runc", "Version": s.runc, "Details": map[string]string{"GitCommit": s.commit}},
		}}
	case strings.HasSuffix(r.URL.Path, "/info"):
		known := map[string]any{}
		for _, name := range s.runtimes {
			known[name] = map[string]string{"path": name}
		}
		options := []string{"name=apparmor"}
		if s.seccomp {
			options = append(options, "name=seccomp,profile=default")
		}
		answer = map[string]any{"Runtimes": known, "SecurityOptions": options, "CgroupDriver": "cgroupfs"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// socket is a short path for a Unix socket.
func socket(t *testing.T) string {
	dir, err := os.MkdirTemp("", "souk-check-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "docker.sock")
}

// daemonThat answers at the socket until the test ends.
func daemonThat(t *testing.T, at string, says said) {
	l, err := net.Listen("unix", at)
	require.NoError(t, err)
	server := &http.Server{Handler: says} //nolint:gosec // of a test
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
}

// static is a program as small as a file can be that is taken for one.
func static(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "static")
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")                   // 64 bits, little-endian
	copy(head[16:], []byte{2, 0, 62, 0, 1})             // a program for x86-64
	copy(head[52:], []byte{64, 0, 56, 0, 0, 0, 64})     // without segments or sections
	require.NoError(t, os.WriteFile(path, head, 0o755)) //nolint:gosec // programs are run
	return path
}

// checked is what Check says of a node that may mount disks.
func checked(t *testing.T, at string, change func(*Config)) error {
	return tried(t, at, change, func(context.Context, string) error { return nil })
}

func tried(t *testing.T, at string, change func(*Config), probe func(context.Context, string) error) error {
	cfg := Config{Dir: t.TempDir(), Host: "unix://" + at, Node: "test", Source: nothing{}, InitPath: static(t)}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(false)) }()
	e.probe = probe
	return e.Check(t.Context())
}

// A node that may ask Docker and isn't root offered containers, and failed every one.
func TestCheckTriesWhetherAJobsDiskCanBeMade(t *testing.T) {
	at := socket(t)
	daemonThat(t, at, said{api: "1.41", runc: "1.1.12", seccomp: true, runtimes: []string{"runsc"}})
	refused := &Obstacle{Why: "it may not mount", Fix: "run it as root"}
	require.ErrorIs(t, tried(t, at, nil, func(context.Context, string) error { return refused }), refused)

	e, err := New(Config{Dir: t.TempDir(), Host: "unix://" + at, Node: "test", Source: nothing{}, InitPath: static(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(false)) }()
	tries, says := 0, error(refused)
	e.probe = func(_ context.Context, dir string) error {
		tries++
		require.NoError(t, os.WriteFile(filepath.Join(dir, "left"), nil, 0o600))
		return says
	}
	require.Error(t, e.Check(t.Context()))
	says = nil
	require.NoError(t, e.Check(t.Context()), "what was granted since is found")
	require.NoError(t, e.Check(t.Context()))
	require.Equal(t, 2, tries, "what can be done is tried no more")
	left, err := os.ReadDir(e.waste())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	good := said{api: "1.41", runc: "1.1.12", seccomp: true, runtimes: []string{"runc", "runsc"}}
	allowed := func(c *Config) { c.AllowRunc, c.Runtime = true, "runc" }
	for name, c := range map[string]struct {
		spoil  func(*said)
		change func(*Config)
		wrong  string // what the sentence holds; empty: nothing is wrong
	}{
		"runsc":              {func(*said) {}, nil, ""},
		"runc, allowed":      {func(*said) {}, allowed, ""},
		"runc, not allowed":  {func(s *said) { s.runtimes = []string{"runc"} }, nil, "docker.allow_runc: true"},
		"old API":            {func(s *said) { s.api = "1.40" }, nil, "20.10 or newer"},
		"runc with holes":    {func(s *said) { s.runc = "1.1.11" }, allowed, "CVE-2024-21626"},
		"runc mended":        {func(s *said) { s.runc, s.commit = "1.1.5+ds1", "1.1.5+ds1-1+deb12u1" }, allowed, ""},
		"the gate is runc's": {func(s *said) { s.runc = "1.0.0" }, nil, ""},
		"no seccomp":         {func(s *said) { s.seccomp = false }, allowed, "seccomp"},
		"no souk-init":       {func(*said) {}, func(c *Config) { c.InitPath = "" }, "souk-init, which containers start with, was not found"},
		"no such runtime":    {func(*said) {}, func(c *Config) { c.Runtime = "kata" }, "runc, runsc"},
	} {
		t.Run(name, func(t *testing.T) {
			at, says := socket(t), good
			c.spoil(&says)
			daemonThat(t, at, says)
			err := checked(t, at, c.change)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
			require.NotContains(t, err.Error(), "\n", "one sentence")
		})
	}
}

// endless is a source whose data is over every limit.
type endless struct{}

func (endless) Export(context.Context, string, cid.Cid, string, int64) error {
	return fmt.Errorf("export: %w", blob.ErrTooLarge)
}

func TestAnArchiveOverTheLimitIsForAnotherProvider(t *testing.T) {
	c := &images{exec: &Executor{cfg: Config{Source: endless{}, MaxImage: 3 << 20}}}
	_, err := c.byArchive(t.Context(), daemon{}, t.TempDir(), executor.Spec{Image: &executor.Image{}})
	var fault *executor.ProviderError
	require.ErrorAs(t, err, &fault)
	require.Equal(t, "the image's archive has more than the 3 MiB up to which this provider takes images", fault.Reason)
}

func TestCheckTellsStoppedFromForbidden(t *testing.T) {
	at := socket(t)
	require.ErrorContains(t, checked(t, at, nil), at, "nothing there")
	l, err := net.Listen("unix", at)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	require.ErrorContains(t, checked(t, at, nil), "is stopped: start it")
	e := &Executor{}
	e.api, err = connect("unix://" + at)
	require.NoError(t, err)
	require.ErrorContains(t, e.unreachable(&net.OpError{Op: "dial", Err: os.ErrPermission}), "group docker")
}

func TestNewRefusesNonsense(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no folder":      func(c *Config) { c.Dir = "" },
		"no source":      func(c *Config) { c.Source = nil },
		"no node":        func(c *Config) { c.Node = "" },
		"odd node":       func(c *Config) { c.Node = "A/B" },
		"no address":     func(c *Config) { c.Host = "nonsense" },
		"negative limit": func(c *Config) { c.MaxImage = -1 },
	} {
		cfg := Config{Dir: t.TempDir(), Node: "test", Source: nothing{}}
		change(&cfg)
		_, err := New(cfg)
		require.Error(t, err, name)
	}
}
