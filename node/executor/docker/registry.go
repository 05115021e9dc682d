package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"souk/node/executor/docker/egress"
)

const (
	maxRegistryAnswer = 8 << 20          // bytes of a manifest, configuration, token or error
	maxRegistryHead   = 1 << 20          // bytes before what is answered
	registryTimeout   = 30 * time.Second // from a question to its answer's head
	dialTimeout       = 10 * time.Second // to connect, and then for the handshake of TLS
	silence           = time.Minute      // without a byte from a registry, after which it is given up
)

// offered is an image as its registry describes it, and the way to its layers.
type offered struct {
	ref    name.Digest
	config []byte
	ids    []string // of the layers, unpacked
	layers []v1.Layer
	sizes  []int64 // of the layers, packed
	size   int64   // bytes to bring
}

// ask asks the image's registry what there is to bring, and refuses what this
// provider would not run. The transport is for the layers, too.
func (e *Executor) ask(ctx context.Context, t *guarded, ref name.Digest, arch string) (o offered, err error) {
	creds, err := credentials(e.cfg.Auth)
	if err != nil {
		return o, unable(err, "this provider's registry credentials can't be used")
	}
	img, err := remote.Image(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(creds), remote.WithTransport(t),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}), remote.WithUserAgent("souk"))
	if err != nil {
		return o, registryFault(ref, err)
	}
	m, err := img.Manifest()
	if err != nil {
		return o, registryFault(ref, err)
	}
	o = offered{ref: ref, size: m.Config.Size}
	for _, l := range m.Layers {
		if l.Size < 0 || o.size+l.Size < o.size {
			return o, refuse("the manifest of %s names a layer of no possible size", ref)
		}
		o.size += l.Size
		o.sizes = append(o.sizes, l.Size)
		t.allow(ref, l)
	}
	switch {
	case o.size > e.cfg.MaxImage:
		return o, refuse("the image %s has %d MiB packed, and this provider takes images up to %d MiB", ref, o.size>>20, e.cfg.MaxImage>>20)
	case len(m.Layers) > maxLayers || m.Config.Size > maxConfig:
		return o, refuse("the image %s has %d layers and %d bytes of configuration, and at most %d and %d are allowed", ref, len(m.Layers), m.Config.Size, maxLayers, maxConfig)
	}
	return o, o.read(img, arch)
}

// read takes the configuration, and what it says of the layers.
func (o *offered) read(img v1.Image, arch string) error {
	c, err := img.ConfigFile()
	if err != nil {
		return registryFault(o.ref, err)
	}
	if c.OS != "linux" || c.Architecture != arch {
		return refuse("the image %s is for %.40s/%.40s, and this provider runs linux/%s; choose an image for that, or another provider", o.ref, c.OS, c.Architecture, arch)
	}
	if o.config, err = img.RawConfigFile(); err != nil {
		return registryFault(o.ref, err)
	}
	if o.ids, err = layerIDs(o.config); err != nil {
		return err
	}
	if len(o.ids) != len(o.sizes) || len(o.ids) == 0 {
		return refuse("the image %s has %d layers, and its configuration names %d; they must be the same, and one at least", o.ref, len(o.sizes), len(o.ids))
	}
	if o.layers, err = img.Layers(); err != nil {
		return registryFault(o.ref, err)
	}
	return nil
}

// registryFault says in a sentence why a registry gave nothing usable. What the
// reference itself is to blame for is the job's fault, an unreachable registry nobody's here.
func registryFault(ref name.Digest, err error) error {
	var answered *transport.Error
	var private *egress.AddressError
	var unreachable *url.Error
	var network net.Error
	switch {
	case errors.As(err, &private):
		return refuse("the registry of %s has a private address, or sends its clients to one, and this provider asks only public ones", ref)
	case errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound:
		return refuse("the registry has no image %s; check its name and digest", ref)
	case errors.As(err, &answered) && (answered.StatusCode == http.StatusUnauthorized || answered.StatusCode == http.StatusForbidden):
		return refuse("the registry gives %s only to those it knows, and this provider has no credentials for it; use a public image, or bring it as an archive", ref)
	case errors.As(err, &answered):
		return unavailable(err, "the registry of %s answers with HTTP status %d", ref, answered.StatusCode)
	case errors.As(err, &unreachable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(err, "the registry of %s can't be reached", ref)
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF):
		return unavailable(err, "the registry of %s broke off in the middle of the image", ref)
	}
	return refuse("what the registry has as %s is not what its digest names", ref)
}

// guarded is a way to one image in a registry. It connects to public addresses only, and
// to those that the provider's configuration names: each connection is judged as it is
// dialled, as a registry may send its clients elsewhere for a token or a layer. It
// cuts off what is answered without end.
type guarded struct {
	http  *http.Transport
	blobs map[string]int64 // by URL: the bytes of a layer
}

func (e *Executor) newGuarded() *guarded {
	guard := egress.Guard{External: e.cfg.External}
	free, known := &net.Dialer{Control: guard.Control}, &net.Dialer{}
	return newGuarded(func(ctx context.Context, network, address string) (net.Conn, error) {
		if e.knows(address) {
			return known.DialContext(ctx, network, address)
		}
		return free.DialContext(ctx, network, address)
	})
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func newGuarded(dial dialer) *guarded {
	return &guarded{blobs: map[string]int64{}, http: &http.Transport{ // no proxy: it would dial unjudged
		DialContext: dial.soon, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: registryTimeout, MaxResponseHeaderBytes: maxRegistryHead,
	}}
}

// soon connects within dialTimeout.
func (dial dialer) soon(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return impatient{c}, nil
}

// knows says whether the provider trusts a place, as host:port, wherever it is.
func (e *Executor) knows(address string) bool {
	return slices.ContainsFunc(e.cfg.Registries, func(r string) bool {
		return r == address || net.JoinHostPort(r, "443") == address || net.JoinHostPort(r, "80") == address
	})
}

// allow lets as much through as a layer has.
func (t *guarded) allow(ref name.Digest, l v1.Descriptor) {
	t.blobs[ref.RegistryStr()+"/v2/"+ref.RepositoryStr()+"/blobs/"+l.Digest.String()] = l.Size
}

func (t *guarded) close() { t.http.CloseIdleConnections() }

func (t *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.http.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	most := int64(maxRegistryAnswer)
	if answer.StatusCode == http.StatusOK {
		most = max(most, t.blobs[asked(r)])
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, most), answer.Body}
	return answer, nil
}

// asked is the URL, without its scheme, that led to a request by redirects; empty
// if it had a query, as those for tokens have.
func asked(r *http.Request) string {
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
	}
	if r.Method != http.MethodGet || r.URL.RawQuery != "" {
		return ""
	}
	return r.URL.Host + r.URL.Path
}

// impatient is a connection that ends when nothing comes for too long.
type impatient struct{ net.Conn }

func (c impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}
