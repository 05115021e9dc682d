//go:build dockertest

package docker_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/executortest"
)

// oci is the runtime that the tests run on. Both that souk knows must pass.
var oci = cmp.Or(os.Getenv("SOUK_TEST_RUNTIME"), "runc")

// guest is the guest program's image, made once for all tests.
var guest archive

// guestPath is the program itself, and initPath souk-init.
var guestPath, initPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "souk-docker-")
	if err == nil {
		guestPath, initPath = filepath.Join(dir, "guest"), filepath.Join(dir, "souk-init")
		err = errors.Join(build(guestPath, "souk/node/executor/executortest/guest"), build(initPath, "souk/cmd/souk-init"))
	}
	var program []byte
	if err == nil {
		program, err = os.ReadFile(guestPath)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	guest = newArchive(config{Entrypoint: []string{"/guest"}}, file{"guest", program, 0o755})
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		removeImage(guest.id)
		os.Exit(code)
	}))
}

func build(to, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s could not be built: %w\n%s", pkg, err, out)
	}
	return nil
}

func removeImage(id string) {
	api, err := client.New(client.FromEnv)
	if err == nil {
		_, err = api.ImageRemove(context.Background(), id, client.ImageRemoveOptions{Force: true})
		api.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "left behind:", err)
	}
}

// file is one entry of an image.
type file struct {
	name    string
	content []byte
	mode    int64
}

// config is what an image says of how to run it.
type config struct {
	Entrypoint []string            `json:",omitempty"`
	Cmd        []string            `json:",omitempty"`
	Env        []string            `json:",omitempty"`
	WorkingDir string              `json:",omitempty"`
	Volumes    map[string]struct{} `json:",omitempty"`
	Labels     map[string]string   `json:",omitempty"`
	User       string              `json:",omitempty"`
}

// archive is an image of one layer as docker save writes it.
type archive struct {
	id  string
	raw []byte
}

func tarOf(files ...file) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.content)), Mode: f.mode})
		_, _ = w.Write(f.content)
	}
	_ = w.Close()
	return b.Bytes()
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func newArchive(c config, files ...file) archive { return newArchiveFor(runtime.GOARCH, c, files...) }

func newArchiveFor(arch string, c config, files ...file) archive {
	layer := tarOf(files...)
	raw, _ := json.Marshal(map[string]any{
		"architecture": arch, "os": "linux", "config": c,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	id := digest(raw)
	manifest, _ := json.Marshal([]map[string]any{{"Config": id + ".json", "RepoTags": []string{"souk-test/taken:latest"}, "Layers": []string{"l/layer.tar"}}})
	return archive{id: "sha256:" + id, raw: tarOf(file{"l/layer.tar", layer, 0o644}, file{id + ".json", raw, 0o644}, file{"manifest.json", manifest, 0o644})}
}

// node names the node of a data directory.
func node(dir string) string { return "test-" + digest([]byte(dir))[:12] }

func open(t *testing.T, dir string, src *executortest.Source) executor.Executor {
	return openWith(t, docker.Config{Dir: dir, Source: src, Node: node(dir), AllowRunc: true, Runtime: oci})
}

func openWith(t *testing.T, cfg docker.Config) *docker.Executor {
	cfg.InitPath = initPath
	e, err := docker.New(cfg)
	require.NoError(t, err)
	require.NoError(t, e.Check(t.Context()))
	t.Cleanup(func() { sweep(t, cfg) })
	return e
}

// sweep removes what a test left in a folder, as far as it is there.
func sweep(t *testing.T, cfg docker.Config) {
	e, err := docker.New(cfg)
	require.NoError(t, err)
	found, err := e.Recover(context.Background())
	require.NoError(t, err)
	for _, x := range found {
		require.NoError(t, x.Stop(context.Background()))
		require.NoError(t, x.Remove())
	}
	require.NoError(t, e.Close(false))
}

func program(t *testing.T, src *executortest.Source, spec *executor.Spec) {
	spec.Image = &executor.Image{Archive: src.File(t, guest.raw)}
}

func TestConformance(t *testing.T) {
	executortest.Run(t, executortest.Subject{
		Open: open, Program: program, System: true,
		Environ: []string{"HOME", "HOSTNAME", "PATH", "NVIDIA_VISIBLE_DEVICES"},
	})
}

// spec is a job for the guest program with generous limits.
func spec(t *testing.T, src *executortest.Source, id string, args ...string) executor.Spec {
	s := executor.Spec{
		ID: id, Owner: "owner", Args: args,
		Limits: executor.Limits{CPU: 1, Memory: 64 << 20, Disk: 16 << 20, Log: 1 << 20, Time: time.Minute},
	}
	program(t, src, &s)
	return s
}
