package image_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/image"
)

// daemon knows images by the names that users write.
type daemon map[string]dockerimage.InspectResponse

func (d daemon) ImageInspect(_ context.Context, text string, _ ...client.ImageInspectOption) (r client.ImageInspectResult, err error) {
	i, known := d[text]
	if !known {
		return r, errors.New("no such image")
	}
	r.InspectResponse = i
	return r, nil
}

func some(t *testing.T, architecture string) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: architecture, RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	return img
}

// shelf is a registry with one image under the name that it gives.
func shelf(t *testing.T) (ref string, img v1.Image) {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	ref = strings.TrimPrefix(s.URL, "http://") + "/a/app:1"
	tag, err := name.NewTag(ref)
	require.NoError(t, err)
	img = some(t, "arm64")
	require.NoError(t, remote.Write(tag, img))
	return ref, img
}

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestADigestIsTakenAsItStands(t *testing.T) {
	for text, want := range map[string]string{
		"alpine@" + digest:                 "alpine@" + digest,
		"alpine:3.20@" + digest:            "alpine@" + digest,
		"localhost:5000/a/b:1@" + digest:   "localhost:5000/a/b@" + digest,
		"localhost:5000/a/b@" + digest:     "localhost:5000/a/b@" + digest,
		"ghcr.io/you/some_app.x@" + digest: "ghcr.io/you/some_app.x@" + digest,
	} {
		p, err := image.Resolver{}.Pin(t.Context(), text)
		require.NoError(t, err, text)
		require.Equal(t, image.Pinned{Ref: want}, p)
	}
	for _, text := range []string{"alpine@sha256:12", "alpine@", "@" + digest, "alpine@md5:12", "alpine@" + digest + "0", "a b@" + digest} {
		_, err := image.Resolver{}.Pin(t.Context(), text)
		var bad *image.Error
		require.ErrorAs(t, err, &bad, text)
		require.ErrorContains(t, err, "malformed name or digest")
	}
}

func TestTheLocalDockerIsAskedFirst(t *testing.T) {
	r := image.Resolver{Docker: daemon{
		"alpine:3.20": {RepoDigests: []string{"other@" + digest, "alpine@" + digest}, Os: "linux", Architecture: "arm64", Variant: "v8"},
		"renamed":     {RepoDigests: []string{"other@" + digest}},
		"mine:dev":    {ID: digest},
	}}
	p, err := r.Pin(t.Context(), "alpine:3.20")
	require.NoError(t, err)
	require.Equal(t, image.Pinned{Ref: "alpine@" + digest, Platform: "linux/arm64/v8"}, p)
	p, err = r.Pin(t.Context(), "renamed")
	require.NoError(t, err)
	require.Equal(t, "other@"+digest, p.Ref, "the same image, as its registry knows it")
	_, err = r.Pin(t.Context(), "mine:dev")
	require.ErrorContains(t, err, "docker save mine:dev -o mine.tar, then --image mine.tar")
}

func TestThenTheRegistry(t *testing.T) {
	ref, img := shelf(t)
	want, err := img.Digest()
	require.NoError(t, err)
	p, err := image.Resolver{Docker: daemon{}}.Pin(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, image.Pinned{Ref: strings.TrimSuffix(ref, ":1") + "@" + want.String(), Platform: "linux/arm64"}, p)

	_, err = image.Resolver{}.Pin(t.Context(), strings.Replace(ref, "app:1", "app:2", 1))
	require.ErrorContains(t, err, "there is no image")
}

func TestAnIndexOfOnePlatformSaysIt(t *testing.T) {
	ref, img := shelf(t)
	tag, err := name.NewTag(ref)
	require.NoError(t, err)
	add := func(system, architecture string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: system, Architecture: architecture}}}
	}
	require.NoError(t, remote.WriteIndex(tag, mutate.AppendManifests(empty.Index, add("linux", "amd64"), add("unknown", "unknown"))))
	p, err := image.Resolver{}.Pin(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, "linux/amd64", p.Platform)
	require.NoError(t, remote.WriteIndex(tag, mutate.AppendManifests(empty.Index, add("linux", "amd64"), add("linux", "arm64"))))
	p, err = image.Resolver{}.Pin(t.Context(), ref)
	require.NoError(t, err)
	require.Empty(t, p.Platform, "it runs on either")
}

func TestARegistryInTrouble(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	at := strings.TrimPrefix(s.URL, "http://")
	_, err := image.Resolver{}.Pin(t.Context(), at+"/app")
	require.ErrorContains(t, err, "HTTP status 429")
	s.Close()
	_, err = image.Resolver{}.Pin(t.Context(), at+"/app")
	require.ErrorContains(t, err, "can't be reached")
	require.NotContains(t, err.Error(), "\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = image.Resolver{}.Pin(ctx, at+"/app")
	require.ErrorIs(t, err, context.Canceled)
	_, err = image.Resolver{}.Pin(t.Context(), "Not An Image")
	require.ErrorContains(t, err, "is no image name")
}

// No header of a request may carry what could be somebody's password.
func TestNoCredentialsAreSent(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	var seen http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		registry.New(registry.Logger(log.New(io.Discard, "", 0))).ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	at := strings.TrimPrefix(s.URL, "http://")
	config := `{"auths":{"` + at + `":{"auth":"dTpw"}}}`
	require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600))
	_, err := image.Resolver{}.Pin(t.Context(), at+"/app:1")
	require.Error(t, err)
	require.NotNil(t, seen)
	require.Empty(t, seen.Get("Authorization"))
}

func TestArchives(t *testing.T) {
	dir := t.TempDir()
	at := func(file string) string { return filepath.Join(dir, file) }
	tag, err := name.NewTag("app:1")
	require.NoError(t, err)
	other, err := name.NewTag("other:1")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(at("good.tar"), tag, some(t, "amd64")))
	require.NoError(t, tarball.MultiWriteToFile(at("two.tar"), map[name.Tag]v1.Image{tag: some(t, "amd64"), other: some(t, "arm64")}))
	require.NoError(t, os.WriteFile(at("text.tar"), []byte("no archive"), 0o600))
	require.NoError(t, os.WriteFile(at("huge.tar"), nil, 0o600))
	require.NoError(t, os.Truncate(at("huge.tar"), image.MaxArchive+1)) // sparse
	platform, err := image.Archive(at("good.tar"))
	require.NoError(t, err)
	require.Equal(t, "linux/amd64", platform)
	for file, want := range map[string]string{
		"gone.tar": "does not exist", "text.tar": "is no image archive", "two.tar": "holds 2 images", "huge.tar": "the limit is 16GiB", ".": "is no file",
	} {
		_, err := image.Archive(at(file))
		var bad *image.Error
		require.ErrorAs(t, err, &bad, file)
		require.ErrorContains(t, err, want, file)
	}
	whole, err := os.ReadFile(at("good.tar"))
	require.NoError(t, err)
	for cut := 0; cut < len(whole); cut += 100 {
		require.NoError(t, os.WriteFile(at("cut.tar"), whole[:cut], 0o600))
		if _, err := image.Archive(at("cut.tar")); err != nil {
			require.ErrorAs(t, err, new(*image.Error))
		}
	}
}
