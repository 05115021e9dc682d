package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

const (
	waitTest = time.Minute
	tick     = 5 * time.Millisecond
)

// shelf is a registry on this machine, which misbehaves as it is told.
type shelf struct {
	host string
	sent atomic.Int64 // bytes
	mu   sync.Mutex
	odd  http.HandlerFunc // before the registry's own answers; nil: none
}

// sending counts what is answered.
type sending struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (s sending) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b)
	s.sent.Add(int64(n))
	return n, err
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		odd := s.odd
		s.mu.Unlock()
		done := &answered{ResponseWriter: sending{w, &s.sent}}
		if odd != nil {
			odd(done, r)
		}
		if !done.yes {
			inner.ServeHTTP(sending{w, &s.sent}, r)
		}
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// answered knows whether there was an answer.
type answered struct {
	http.ResponseWriter
	yes bool
}

func (a *answered) WriteHeader(code int) { a.yes = true; a.ResponseWriter.WriteHeader(code) }

func (a *answered) Write(b []byte) (int, error) { a.yes = true; return a.ResponseWriter.Write(b) }

func (s *shelf) behave(odd http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = odd
	s.sent.Store(0)
}

// put gives the reference of an image of the layers.
func (s *shelf) put(t *testing.T, layers ...v1.Layer) name.Digest {
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layers...)
	require.NoError(t, err)
	tag, err := name.NewTag(s.host + "/app:1")
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	require.NoError(t, remote.Write(tag, img, remote.WithTransport(transport)))
	d, err := img.Digest()
	require.NoError(t, err)
	ref, err := name.NewDigest(s.host + "/app@" + d.String())
	require.NoError(t, err)
	return ref
}

func some(t *testing.T, bytes int64) v1.Layer {
	l, err := random.Layer(bytes, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	require.NoError(t, err)
	return l
}

// bring asks for an image and fetches its layers, as a pull does before Docker has to do with it.
func bring(t *testing.T, e *Executor, ref name.Digest) (*archive, error) {
	ctx, cancel := context.WithTimeout(t.Context(), waitTest)
	defer cancel()
	way := e.newGuarded()
	defer way.close()
	o, err := e.ask(ctx, way, ref, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "layers"))
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	return o.fetch(ctx, file, e.cfg.MaxImage, func(string) {})
}

func trusting(s *shelf) *Executor {
	return &Executor{cfg: Config{Registries: []string{s.host}, MaxImage: 4 << 20}}
}

func refused(t *testing.T, err error, says string) {
	t.Helper()
	var fault *executor.JobError
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Reason, says)
}

func TestWhatIsFetchedIsTheImage(t *testing.T) {
	s := newShelf(t)
	ref := s.put(t, some(t, 1<<20), some(t, 2<<20), some(t, 10))
	a, err := bring(t, trusting(s), ref)
	require.NoError(t, err)
	var raw bytes.Buffer
	require.NoError(t, a.write(&raw))
	img, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil }, nil)
	require.NoError(t, err)
	id, err := img.ConfigName()
	require.NoError(t, err)
	require.Equal(t, id.String(), a.id())
	file, err := os.Create(filepath.Join(t.TempDir(), "image.tar"))
	require.NoError(t, err)
	defer file.Close()
	_, err = raw.WriteTo(file)
	require.NoError(t, err)
	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	again, err := readArchive(t.Context(), file, 4<<20)
	require.NoError(t, err, "each layer is what the configuration names")
	require.Equal(t, again.takes, a.takes)
}

// A layer of 12 kB that unpacks to 12 MiB is given up as soon as it is seen.
func TestALayerThatUnpacksWithoutEnd(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.Copy(z, io.LimitReader(zeros{}, 12<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	require.NoError(t, err)
	s := newShelf(t)
	_, err = bring(t, trusting(s), s.put(t, l))
	refused(t, err, "unpacked it has more than the 4 MiB")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestLayersTogetherAreOneImage(t *testing.T) {
	s := newShelf(t)
	e := trusting(s)
	zero := func(n int64) v1.Layer { // small as it comes
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("f", n), Size: n, Mode: 0o644}))
		_, err := io.Copy(w, io.LimitReader(zeros{}, n))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		raw := b.Bytes()
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
		require.NoError(t, err)
		return l
	}
	_, err := bring(t, e, s.put(t, zero(3<<20)))
	require.NoError(t, err)
	_, err = bring(t, e, s.put(t, zero(2<<20), zero(2<<20+1)))
	refused(t, err, "more than the 4 MiB")
}

func forBlob(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") }

// within is a service of the provider's own network that nobody may reach.
func within(t *testing.T) (url string, reached *atomic.Int32) {
	reached = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		fmt.Fprint(w, `{"token":"secret"}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, reached
}

// The registry itself may be anywhere, as the provider says; it must not lead
// this node anywhere else.
func TestARegistryLeadsNobodyInside(t *testing.T) {
	s := newShelf(t)
	ref := s.put(t, some(t, 1000))
	inside, reached := within(t)
	for what, odd := range map[string]http.HandlerFunc{
		"a redirect of the manifest": func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, inside+"/x", http.StatusTemporaryRedirect)
			}
		},
		"a redirect of a layer": func(w http.ResponseWriter, r *http.Request) {
			if forBlob(r) {
				http.Redirect(w, r, inside+"/x", http.StatusTemporaryRedirect)
			}
		},
		"a realm for tokens": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+inside+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		s.behave(odd)
		_, err := bring(t, trusting(s), ref)
		refused(t, err, "private address")
		require.Zero(t, reached.Load(), what)
	}
	s.behave(nil)
	_, err := bring(t, &Executor{cfg: Config{MaxImage: 4 << 20}}, ref)
	refused(t, err, "private address")
	require.Zero(t, s.sent.Load(), "the registry was not asked at all")
}

// Nothing that a registry answers fills this node's memory or disk.
func TestEndlessAnswersAreCut(t *testing.T) {
	s := newShelf(t)
	ref := s.put(t, some(t, 1000))
	endless := func(w http.ResponseWriter, code int) {
		w.WriteHeader(code)
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 64<<20))
	}
	for what, odd := range map[string]http.HandlerFunc{
		"manifest": func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				endless(w, http.StatusOK)
			}
		},
		"layer": func(w http.ResponseWriter, r *http.Request) {
			if forBlob(r) {
				endless(w, http.StatusOK)
			}
		},
		"error for a layer": func(w http.ResponseWriter, r *http.Request) {
			if forBlob(r) {
				endless(w, http.StatusBadRequest)
			}
		},
		"token": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+s.host+`/v2/app/blobs/token",service="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			} else if r.URL.RawQuery != "" {
				endless(w, http.StatusOK)
			}
		},
	} {
		s.behave(odd)
		_, err := bring(t, trusting(s), ref)
		require.Error(t, err, what)
		require.Less(t, s.sent.Load(), int64(40<<20), "%s: it is a matter of buffers how far it comes", what)
	}
}

func TestALayerThatIsAnother(t *testing.T) {
	s := newShelf(t)
	ref := s.put(t, some(t, 1000))
	s.behave(func(w http.ResponseWriter, r *http.Request) {
		if forBlob(r) && !strings.Contains(r.Header.Get("Accept"), "config") {
			fmt.Fprint(w, "something else")
		}
	})
	_, err := bring(t, trusting(s), ref)
	refused(t, err, "not what its digest names")
}

func TestARegistryThatBreaksOffIsNotTheJobsFault(t *testing.T) {
	s := newShelf(t)
	ref := s.put(t, some(t, 2<<20))
	s.behave(func(w http.ResponseWriter, r *http.Request) {
		if forBlob(r) && r.Method == http.MethodGet {
			w.Header().Set("Content-Length", fmt.Sprint(2<<20))
			w.WriteHeader(http.StatusOK)
			panic(http.ErrAbortHandler)
		}
	})
	_, err := bring(t, trusting(s), ref)
	var ours *executor.ProviderError
	require.ErrorAs(t, err, &ours)
}

func TestRoomIsClaimedBeforeItIsTaken(t *testing.T) {
	dir := t.TempDir()
	now, err := free(dir)
	require.NoError(t, err)
	c := &claims{}
	most := now.bytes - keepFree
	if most < 1<<30 {
		most = 0 // the machine is full: not even nothing fits
	}
	release, err := c.claim(dir, room{bytes: most / 2})
	if most == 0 {
		require.ErrorIs(t, err, errFull)
		return
	}
	require.NoError(t, err)
	_, err = c.claim(dir, room{bytes: most - most/4})
	require.ErrorIs(t, err, errFull, "half of it is another's")
	release()
	release, err = c.claim(dir, room{bytes: most / 2})
	require.NoError(t, err)
	release()
	require.Zero(t, c.taken)
	_, err = c.claim(filepath.Join(dir, "elsewhere"), room{bytes: 1 << 60})
	require.NoError(t, err, "a disk that isn't here")
}
