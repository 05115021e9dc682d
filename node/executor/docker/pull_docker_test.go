//go:build dockertest

package docker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/docker/registrytest"
	"souk/node/executor/executortest"
)

// shop is a registry that knows the IDs of its images, by reference.
type shop struct {
	*registrytest.Registry
	ids map[string]string
}

func newShop(t *testing.T) *shop {
	return &shop{registrytest.New(t), map[string]string{}}
}

// push gives the image's reference, pinned by digest.
func (s *shop) push(t *testing.T, repository string, img v1.Image) string {
	id, err := img.ConfigName()
	require.NoError(t, err)
	pinned := s.Push(t, repository, img)
	s.ids[pinned] = id.String()
	return pinned
}

// guestImage is the guest program's image with something of its own, so that no
// two tests share one.
func guestImage(t *testing.T, arch string) v1.Image { return guestImageOf(t, arch, t.Name()) }

func guestImageAs(t *testing.T, who string) v1.Image {
	return guestImageOf(t, runtime.GOARCH, t.Name()+" "+who)
}

func guestImageOf(t *testing.T, arch, author string) v1.Image {
	img, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(guest.raw))), nil }, nil)
	require.NoError(t, err)
	return registrytest.Guise(t, img, arch, author)
}

func (s *shop) node(t *testing.T, change func(*docker.Config)) *docker.Executor {
	dir := t.TempDir()
	cfg := docker.Config{
		Dir: dir, Source: &executortest.Source{}, Node: node(dir), AllowRunc: true, Runtime: oci, Pull: true, Registries: []string{s.Host},
	}
	if change != nil {
		change(&cfg)
	}
	e := openWith(t, cfg)
	t.Cleanup(func() { require.NoError(t, e.Close(false)) })
	return e
}

func byRef(ref string, args ...string) executor.Spec {
	return executor.Spec{
		ID: "pulled", Owner: "owner", Args: args, Image: &executor.Image{Ref: ref},
		Limits: executor.Limits{CPU: 1, Memory: 64 << 20, Disk: 1 << 20, Log: 1 << 20, Time: time.Minute},
	}
}

// has says whether the daemon has an image.
func has(t *testing.T, ref string) bool {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer api.Close()
	_, err = api.ImageInspect(context.Background(), ref)
	return err == nil
}

// dropAfter gives the ID of an image that is removed after the test.
func (s *shop) dropAfter(t *testing.T, ref string) string {
	id := s.ids[ref]
	t.Cleanup(func() {
		if has(t, id) {
			removeImage(id)
		}
	})
	return id
}

func TestPull(t *testing.T) {
	s := newShop(t)
	layer, err := random.Layer(3<<20, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	require.NoError(t, err)
	img, err := mutate.AppendLayers(guestImage(t, runtime.GOARCH), layer)
	require.NoError(t, err)
	ref := s.push(t, "some/guest", img)
	id := s.dropAfter(t, ref)
	e := s.node(t, nil)
	job := byRef(ref, "lines", "2")
	var told []string
	job.Progress = func(line string) { told = append(told, line) }
	x, err := e.Prepare(t.Context(), job)
	require.NoError(t, err)
	require.Contains(t, strings.Join(told, "\n"), "pulling ")
	require.NoError(t, x.Start(t.Context()))
	<-x.Done()
	require.Equal(t, "line 0\nline 1\n", logOf(t, x))
	require.NoError(t, x.Remove())
	require.True(t, has(t, id))
	require.False(t, has(t, ref), "no name is taken on this machine")

	// What is here by that digest isn't asked for again.
	s.Between(func(http.Handler) http.Handler { return http.NotFoundHandler() })
	x, err = e.Prepare(t.Context(), byRef("elsewhere.example/other@"+ref[strings.LastIndex(ref, "@")+1:]))
	require.NoError(t, err)
	require.NoError(t, x.Stop(t.Context()))
	require.NoError(t, x.Remove())
}

func TestRefusedPulls(t *testing.T) {
	s := newShop(t)
	ref := s.push(t, "good", guestImage(t, runtime.GOARCH))
	bare := ref[:strings.LastIndex(ref, "@")]
	big, err := random.Image(2<<20, 2)
	require.NoError(t, err)
	foreign := guestImage(t, "riscv64")
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: foreign, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "riscv64"}}})
	tag, err := name.NewTag(s.Host + "/index:latest")
	require.NoError(t, err)
	transport := &http.Transport{}
	require.NoError(t, remote.WriteIndex(tag, index, remote.WithTransport(transport)))
	transport.CloseIdleConnections()
	at, err := index.Digest()
	require.NoError(t, err)
	none := "sha256:" + strings.Repeat("0", 64)
	for what, c := range map[string]struct {
		ref, says string
		change    func(*docker.Config)
		wrap      func(http.Handler) http.Handler
	}{
		"no digest":          {ref: bare + ":latest", says: "digest pinned"},
		"no reference":       {ref: "UPPER@" + none, says: "digest pinned"},
		"missing image":      {ref: bare + "@" + none, says: "no image"},
		"missing repository": {ref: s.Host + "/nothing@" + none, says: "no image"},
		"wrong architecture": {ref: s.push(t, "foreign", foreign), says: "linux/riscv64"},
		"none for this":      {ref: s.Host + "/index@" + at.String(), says: "digest names"},
		"too big":            {ref: s.push(t, "big", big), says: "up to 1 MiB", change: func(c *docker.Config) { c.MaxImage = 1 << 20 }},
		"pulls none":         {ref: ref, says: "pulls none", change: func(c *docker.Config) { c.Pull = false }},
		"private registry":   {ref: ref, says: "private address", change: func(c *docker.Config) { c.Registries = nil }},
		"asks who it is": {ref: ref, says: "credentials", wrap: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		}},
		"digest mismatch": {ref: ref, says: "digest names", wrap: registrytest.SwapManifests},
	} {
		t.Run(what, func(t *testing.T) {
			if c.wrap != nil {
				s.Between(c.wrap)
				defer s.Between(func(h http.Handler) http.Handler { return h })
			}
			e := s.node(t, c.change)
			_, err := e.Prepare(t.Context(), byRef(c.ref))
			var fault *executor.JobError
			require.ErrorAs(t, err, &fault)
			require.Contains(t, fault.Reason, c.says)
			require.False(t, has(t, s.ids[ref]), "nothing was pulled")
		})
	}
}

func TestUnreachableRegistryIsNotTheJobsFault(t *testing.T) {
	s := newShop(t)
	e := s.node(t, func(c *docker.Config) { c.Registries = []string{"127.0.0.1:1"} })
	_, err := e.Prepare(t.Context(), byRef("127.0.0.1:1/some/image@sha256:"+strings.Repeat("0", 64)))
	require.ErrorContains(t, err, "can't be reached")
	var fault *executor.JobError
	require.False(t, asJobError(err, &fault))
}

// The registry asks for the provider's password.
func TestPullWithCredentials(t *testing.T) {
	s := newShop(t)
	ref := s.push(t, "private", guestImage(t, runtime.GOARCH))
	s.dropAfter(t, ref)
	s.Between(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	auth := filepath.Join(t.TempDir(), "config.json")
	raw, err := json.Marshal(map[string]any{"auths": map[string]any{s.Host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("me:secret"))}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(auth, raw, 0o600))
	e := s.node(t, func(c *docker.Config) { c.Auth = auth })
	x, err := e.Prepare(t.Context(), byRef(ref, "exit", "0"))
	require.NoError(t, err)
	require.NoError(t, x.Stop(t.Context()))
	require.NoError(t, x.Remove())

	bare, _, _ := strings.Cut(ref, "@")
	_, err = s.node(t, nil).Prepare(t.Context(), byRef(bare+"@sha256:"+strings.Repeat("1", 64)))
	require.ErrorContains(t, err, "no credentials")
}

// Over the limit on images the longest unused goes, and only what souk brought.
func TestImagesOverTheLimitGo(t *testing.T) {
	s := newShop(t)
	e := s.node(t, func(c *docker.Config) { c.CacheBytes = 5 << 20 })
	var ids []string
	for i := range 3 {
		layer, err := random.Layer(3<<20, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		require.NoError(t, err)
		img, err := mutate.AppendLayers(guestImage(t, runtime.GOARCH), layer)
		require.NoError(t, err)
		ref := s.push(t, fmt.Sprint("image", i), img)
		ids = append(ids, s.dropAfter(t, ref))
		x, err := e.Prepare(t.Context(), byRef(ref, "exit", "0"))
		require.NoError(t, err)
		require.NoError(t, x.Stop(t.Context()))
		require.NoError(t, x.Remove())
	}
	require.False(t, has(t, ids[0]))
	require.False(t, has(t, ids[1]))
	require.True(t, has(t, ids[2]), "the one in use")
}

// What the provider pulled or built by itself is not for clients, whoever knows its
// digest; who can have it from a registry gets it from there, and souk never removes it.
func TestTheProvidersOwnImagesAreItsOwn(t *testing.T) {
	s := newShop(t)
	e := s.node(t, func(c *docker.Config) { c.CacheBytes = 1 })
	own := guestImage(t, runtime.GOARCH)
	ref := s.push(t, "own", own)
	id := s.dropAfter(t, ref)
	tag, err := name.NewTag("souk-test/own:latest")
	require.NoError(t, err)
	var raw bytes.Buffer
	require.NoError(t, tarball.Write(tag, own, &raw))
	load := exec.Command("docker", "load", "--quiet")
	load.Stdin = &raw
	out, err := load.CombinedOutput()
	require.NoError(t, err, string(out))
	s.Between(func(http.Handler) http.Handler { return http.NotFoundHandler() })
	for _, known := range []string{s.Host + "/own@" + id, ref} {
		_, err := e.Prepare(t.Context(), byRef(known, "exit", "0"))
		require.ErrorContains(t, err, "the registry has no image", known)
	}

	s.Between(func(h http.Handler) http.Handler { return h })
	x, err := e.Prepare(t.Context(), byRef(ref, "exit", "0"))
	require.NoError(t, err)
	require.NoError(t, x.Stop(t.Context()))
	require.NoError(t, x.Remove())
	other := s.push(t, "other", guestImageAs(t, "other"))
	s.dropAfter(t, other)
	x, err = e.Prepare(t.Context(), byRef(other, "exit", "0"))
	require.NoError(t, err)
	require.NoError(t, x.Stop(t.Context()))
	require.NoError(t, x.Remove())
	require.True(t, has(t, id), "it was there before")
}

// A registry that hangs keeps nobody else from getting images, and leases that want one
// image share one pull.
func TestPullsAtOnce(t *testing.T) {
	slow, quick := newShop(t), newShop(t)
	shared := slow.push(t, "shared", guestImageAs(t, "shared"))
	slow.dropAfter(t, shared)
	plain := quick.push(t, "plain", guestImageAs(t, "plain"))
	quick.dropAfter(t, plain)
	hold, asked, layers := make(chan struct{}), make(chan struct{}, 100), atomic.Int32{}
	slow.Between(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				asked <- struct{}{}
				<-hold
			}
			if strings.Contains(r.URL.Path, "/blobs/") {
				layers.Add(1)
			}
			h.ServeHTTP(w, r)
		})
	})
	e := slow.node(t, func(c *docker.Config) { c.Registries = append(c.Registries, quick.Host) })
	prepared := make(chan error, 2)
	for i := range 2 {
		job := byRef(shared, "exit", "0")
		job.ID = fmt.Sprint("shared", i)
		go func() {
			x, err := e.Prepare(t.Context(), job)
			if err == nil {
				err = errors.Join(x.Stop(t.Context()), x.Remove())
			}
			prepared <- err
		}()
	}
	<-asked
	x, err := e.Prepare(t.Context(), byRef(plain, "exit", "0"))
	require.NoError(t, err)
	require.NoError(t, x.Stop(t.Context()))
	require.NoError(t, x.Remove())
	close(hold)
	require.NoError(t, <-prepared)
	require.NoError(t, <-prepared)
	require.LessOrEqual(t, layers.Load(), int32(2), "the configuration and the layer, once")
}
