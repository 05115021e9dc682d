package jobfile_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"souk/node/jobfile"
	"souk/protocol/market"
)

var digest = "@sha256:" + strings.Repeat("0a", 32)

// archive writes an image as docker save does.
func archive(t *testing.T, path string) {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "arm64", RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	tag, err := name.NewTag("app:1")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(path, tag, img))
}

func TestAnImageJob(t *testing.T) {
	dir := workspace(t, map[string]string{"job.yaml": `
task: {image: "ghcr.io/you/app:1` + digest + `", args: [--epochs, "5"], env: {SEED: "1"}}
needs: {memory: 64GiB, gpu: RTX4090, exclusive: true, egress: ["Example.org:443", "1.1.1.1:53"]}
limits: {total: 1}
verify: {challenge: true}
`})
	got, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
	require.NoError(t, err)
	require.Equal(t, "app", got.Name)
	require.Equal(t, &jobfile.Image{Ref: "ghcr.io/you/app:1" + digest}, got.Image)
	require.Equal(t, market.KindDocker, got.Kind())
	require.Equal(t, int64(64<<30), got.Memory, "images may have more than WebAssembly can address")
	require.Equal(t, []string{"example.org:443", "1.1.1.1:53"}, got.Egress)
	require.True(t, got.Exclusive)
	require.True(t, got.Verify.Challenge)
	var out bytes.Buffer
	require.NoError(t, got.Write(&out))
	again, err := jobfile.Read("job.yaml", "/elsewhere", out.Bytes())
	require.NoError(t, err, out.String())
	require.Equal(t, got, again)
}

func TestAnArchiveIsAFileOrEndsInTar(t *testing.T) {
	dir := workspace(t, map[string]string{"job.yaml": "task: {image: app.tar}\nlimits: {total: 1}"})
	archive(t, filepath.Join(dir, "app.tar"))
	archive(t, filepath.Join(dir, "saved"))
	got, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
	require.NoError(t, err)
	require.Equal(t, &jobfile.Image{Path: filepath.Join(dir, "app.tar"), Platform: "linux/arm64"}, got.Image)
	require.Equal(t, got.Image.Path, got.Program())
	require.Equal(t, "app", got.Name)
	var out bytes.Buffer
	require.NoError(t, got.Write(&out))
	again, err := jobfile.Read("job.yaml", "/elsewhere", out.Bytes())
	require.NoError(t, err)
	require.Equal(t, got, again)

	t.Chdir(dir)
	total := jobfile.Setting{Flag: "--total", Field: "limits.total", Text: "1"}
	image := func(text string) jobfile.Setting {
		return jobfile.Setting{Flag: "--image", Field: "task.image", Text: text}
	}
	got, err = jobfile.FromFlags("", []string{"run"}, []jobfile.Setting{total, image("saved")})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "saved"), got.Image.Path)
	require.Equal(t, []string{"run"}, got.Args)
	got, err = jobfile.FromFlags("", nil, []jobfile.Setting{
		total, image("localhost:5000/a/b:1"),
		{Flag: "--egress", Field: "needs.egress", Text: "example.org:443"}, {Flag: "--challenge", Field: "verify.challenge", Text: "true"},
		{Flag: "--gpu", Field: "needs.gpu", Text: "any"}, {Flag: "--exclusive", Field: "needs.exclusive", Text: "true"},
	})
	require.NoError(t, err)
	require.Equal(t, "localhost:5000/a/b:1", got.Image.Ref)
	require.Equal(t, "b", got.Name)
	require.Equal(t, []string{"example.org:443"}, got.Egress)
	require.True(t, got.Exclusive)
	require.True(t, got.Verify.Challenge)
	_, err = jobfile.FromFlags("", nil, []jobfile.Setting{total, image("gone.tar")})
	require.ErrorContains(t, err, "--image: image archive ")
	_, err = jobfile.FromFlags("", nil, []jobfile.Setting{total, image(dir)})
	require.ErrorContains(t, err, "is a folder")
	got, err = jobfile.Load("job.yaml", image("alpine"))
	require.NoError(t, err)
	require.Equal(t, "alpine", got.Image.Ref, "a flag goes over the file")
}
