package image_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/image"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, image.LimitRows(), map[string]limittest.Probe{
		"archive of an image": func(t *testing.T, n int64) error {
			path := filepath.Join(t.TempDir(), "image.tar")
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			require.NoError(t, os.Truncate(path, n)) // a hole
			_, err := image.Archive(path)
			require.Error(t, err, "there is no image in it")
			return limittest.Refused(!strings.Contains(err.Error(), "the limit is"))
		},
		"finding an image's digest in the local Docker": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) {
				r := image.Resolver{Docker: slow{wait: limittest.Wait(n)}, Transport: slow{}}
				var p image.Pinned
				p, err = r.Pin(t.Context(), "registry.example/app:1")
				require.NoError(t, err)
				err = limittest.Refused(p.Platform == "linux/arm64") // which the registry doesn't say
			})
			return err
		},
		"finding an image's digest in its registry": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) {
				_, err = image.Resolver{Transport: slow{wait: limittest.Wait(n)}}.Pin(t.Context(), "registry.example/app:1")
			})
			return err
		},
		"registry's answer about an image's digest or platform": func(t *testing.T, n int64) error {
			const config = `{"os": "linux", "architecture": "arm64", "rootfs": {"type": "layers", "diff_ids": []}}`
			r := image.Resolver{Transport: slow{config: config + strings.Repeat(" ", int(n)-len(config))}}
			p, err := r.Pin(t.Context(), "registry.example/app:1")
			require.NoError(t, err)
			return limittest.Refused(p.Platform == "linux/arm64")
		},
	})
}

// slow is a Docker, and a registry, that has an image and takes its time to say so.
type slow struct {
	wait   time.Duration
	config string // of the image; empty: the registry doesn't give it
}

func (s slow) ImageInspect(ctx context.Context, _ string, _ ...client.ImageInspectOption) (r client.ImageInspectResult, err error) {
	r.InspectResponse = dockerimage.InspectResponse{RepoDigests: []string{"registry.example/app@" + digest}, Os: "linux", Architecture: "arm64"}
	return r, s.pass(ctx)
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	const kind = "application/vnd.docker.distribution.manifest.v2+json"
	sum := sha256.Sum256([]byte(s.config))
	manifest := fmt.Sprintf(`{"schemaVersion": 2, "mediaType": %q, "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": %d, "digest": "sha256:%x"}, "layers": []}`,
		kind, len(s.config), sum)
	answer := httptest.NewRecorder()
	answer.Header().Set("Content-Type", kind)
	answer.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest))))
	switch {
	case s.config == "" && r.Method == http.MethodGet && r.URL.Path != "/v2/":
		answer.WriteHeader(http.StatusNotFound)
	case strings.Contains(r.URL.Path, "/blobs/"):
		answer.Body.WriteString(s.config)
	case r.Method == http.MethodGet:
		answer.Body.WriteString(manifest)
	default:
		answer.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
		if err := s.pass(r.Context()); err != nil {
			return nil, err
		}
	}
	result := answer.Result()
	result.Request = r
	return result, nil
}

func (s slow) pass(ctx context.Context) error {
	select {
	case <-time.After(s.wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
