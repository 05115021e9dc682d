// Package registrytest is a registry of images on this machine's loopback, which
// is asked over HTTP and may be made to lie.
//
// It is for tests only; no production code imports it.
package registrytest

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// Registry lasts as long as its test.
type Registry struct {
	Host string // with its port

	mu   sync.Mutex
	wrap func(http.Handler) http.Handler
}

// New starts an honest one.
func New(t *testing.T) *Registry {
	t.Helper()
	r := &Registry{}
	honest := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.handler(honest).ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *Registry) handler(honest http.Handler) http.Handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrap == nil {
		return honest
	}
	return r.wrap(honest)
}

// Between has wrap stand between the registry and who asks it from now on; nil
// makes it honest again.
func (r *Registry) Between(wrap func(http.Handler) http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrap = wrap
}

// Push gives the image's reference, pinned by its digest.
func (r *Registry) Push(t *testing.T, repository string, img v1.Image) string {
	t.Helper()
	tag, err := name.NewTag(r.Host + "/" + repository + ":latest")
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	require.NoError(t, remote.Write(tag, img, remote.WithTransport(transport)))
	digest, err := img.Digest()
	require.NoError(t, err)
	return r.Host + "/" + repository + "@" + digest.String()
}

// Guise is an image that is said to be for an architecture and by an author: no
// two of different authors have one digest.
func Guise(t *testing.T, img v1.Image, arch, author string) v1.Image {
	t.Helper()
	cfg, err := img.ConfigFile()
	require.NoError(t, err)
	cfg = cfg.DeepCopy()
	cfg.Architecture, cfg.Author = arch, author
	img, err = mutate.ConfigFile(img, cfg)
	require.NoError(t, err)
	return img
}

// SwapManifests gives manifests that differ from what was asked for by a space.
func SwapManifests(honest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		honest.ServeHTTP(answer, r)
		for k, v := range answer.Header() {
			w.Header()[k] = v
		}
		body := answer.Body.String()
		if strings.Contains(r.URL.Path, "/manifests/") {
			body = strings.Replace(body, "{", "{ ", 1)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.WriteHeader(answer.Code)
		_, _ = io.WriteString(w, body)
	})
}
