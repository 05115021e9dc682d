//go:build dockertest

package hostile_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// buildStatic compiles a program and gives its path.
func buildStatic(t *testing.T, pkg string) string {
	path := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", path, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// program is the hostile programs in one static binary.
func program(t *testing.T) []byte {
	raw, err := os.ReadFile(buildStatic(t, "./guest"))
	require.NoError(t, err)
	return raw
}

// archive is an image as "docker save" writes it, of a client who means harm:
// its configuration asks for whatever an image can ask for. The ID is Docker's name for it.
func archive(t *testing.T, program []byte) (raw []byte, id string) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layerOf(program))), nil
	})
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	img, err = mutate.ConfigFile(img, config(t, img))
	require.NoError(t, err)
	digest, err := img.ConfigName()
	require.NoError(t, err)
	var buf bytes.Buffer
	tag, err := name.NewTag("hostile.invalid/suite:1")
	require.NoError(t, err)
	require.NoError(t, tarball.Write(tag, img, &buf))
	return buf.Bytes(), digest.String()
}

func config(t *testing.T, img v1.Image) *v1.ConfigFile {
	cfg, err := img.ConfigFile()
	require.NoError(t, err)
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", runtime.GOARCH
	cfg.Config = v1.Config{
		Entrypoint:   []string{"/hostile"},
		User:         "0:0",
		StopSignal:   "SIGCONT", // which ends nothing
		Volumes:      map[string]struct{}{"/volume": {}},
		ExposedPorts: map[string]struct{}{"1/tcp": {}},
		Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "/hostile", "daemon"}, Interval: 1e9},
		Labels: map[string]string{
			"souk.node": "stolen", "souk.execution": "stolen", "com.docker.compose.project": "stolen",
			"io.podman.annotations.seccomp": "unconfined",
		},
		Env: []string{
			"PATH=/", "FROM_IMAGE=1", "LD_PRELOAD=/hostile.so", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all",
		},
	}
	return cfg
}

// layerOf lays the program out, with a setuid copy, and links where the executor will mount.
func layerOf(program []byte) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	put := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
		_, _ = w.Write(content)
	}
	put(tar.Header{Name: "hostile", Mode: 0o755, Typeflag: tar.TypeReg}, program)
	put(tar.Header{Name: "setuid-hostile", Mode: 0o6755, Typeflag: tar.TypeReg}, program)
	put(tar.Header{Name: "link", Linkname: "/proc/1/root/etc", Typeflag: tar.TypeSymlink}, nil)
	put(tar.Header{Name: "up", Linkname: "../../../../../../../etc", Typeflag: tar.TypeSymlink}, nil)
	put(tar.Header{Name: "etc/", Mode: 0o777, Typeflag: tar.TypeDir}, nil)
	put(tar.Header{Name: "etc/anybody", Mode: 0o666, Typeflag: tar.TypeReg}, []byte("x"))
	put(tar.Header{Name: "open/", Mode: 0o777, Typeflag: tar.TypeDir}, nil)
	_ = w.Close()
	return buf.Bytes()
}
