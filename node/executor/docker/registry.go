package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
)

const (
	maxRegistryAnswer = 8 << 20 // bytes of a manifest, configuration or token
	registryTimeout   = 30 * time.Second
	dialTimeout       = 10 * time.Second
)

// offered is what a registry says of an image before it is pulled.
type offered struct {
	size int64 // bytes to pull
	auth string
}

// ask asks the image's registry what a pull would bring, and refuses what this
// provider would not run.
func (e *Executor) ask(ctx context.Context, ref name.Digest, arch string) (o offered, err error) {
	creds, err := credentials(e.cfg.Auth)
	if err != nil {
		return o, unable(err, "this provider's registry credentials can't be used")
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	guarded := e.registryTransport(ref.RegistryStr())
	defer guarded.CloseIdleConnections()
	img, err := remote.Image(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(creds), remote.WithTransport(capped{guarded}),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}), remote.WithUserAgent("souk"))
	if err != nil {
		return o, registryFault(ref, err)
	}
	m, err := img.Manifest()
	if err != nil {
		return o, registryFault(ref, err)
	}
	o.size = m.Config.Size
	for _, l := range m.Layers {
		if l.Size < 0 || o.size+l.Size < o.size {
			return o, refuse("the manifest of %s names a layer of no possible size", ref)
		}
		o.size += l.Size
	}
	switch {
	case o.size > e.cfg.MaxImage:
		return o, refuse("the image %s has %d MiB packed, and this provider takes images up to %d MiB", ref, o.size>>20, e.cfg.MaxImage>>20)
	case len(m.Layers) > maxLayers || m.Config.Size > maxConfig:
		return o, refuse("the image %s has %d layers and %d bytes of configuration, and at most %d and %d are allowed", ref, len(m.Layers), m.Config.Size, maxLayers, maxConfig)
	}
	c, err := img.ConfigFile()
	if err != nil {
		return o, registryFault(ref, err)
	}
	if c.OS != "linux" || c.Architecture != arch {
		return o, refuse("the image %s is for %.40s/%.40s, and this provider runs linux/%s; choose an image for that, or another provider", ref, c.OS, c.Architecture, arch)
	}
	o.auth, err = creds.header(ref.RegistryStr())
	return o, err
}

// registryFault says in a sentence why a registry gave nothing usable. What the
// reference itself is to blame for is the job's fault, an unreachable registry not.
func registryFault(ref name.Digest, err error) error {
	var answered *transport.Error
	var unreachable *url.Error
	switch {
	case errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound:
		return refuse("the registry has no image %s; check its name and digest", ref)
	case errors.As(err, &answered) && (answered.StatusCode == http.StatusUnauthorized || answered.StatusCode == http.StatusForbidden):
		return refuse("the registry gives %s only to those it knows, and this provider has no credentials for it; use a public image, or bring it as an archive", ref)
	case errors.As(err, &answered):
		return unable(err, "the registry of %s answers with HTTP status %d", ref, answered.StatusCode)
	case errors.Is(err, errPrivate):
		return refuse("the registry of %s has a private address, and this provider asks only public ones", ref)
	case errors.As(err, &unreachable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unable(err, "the registry of %s can't be reached", ref)
	}
	return refuse("what the registry has as %s is not what its digest names: %s", ref, faultOf(err))
}

var errPrivate = errors.New("a private address")

// registryTransport connects to public addresses only, unless the provider names
// the registry. A registry may send its clients elsewhere, so each connection is judged.
func (e *Executor) registryTransport(host string) *http.Transport {
	d := &net.Dialer{Timeout: dialTimeout}
	if !slices.Contains(e.cfg.Registries, host) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !public(at.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return &http.Transport{DialContext: d.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: registryTimeout, MaxResponseHeaderBytes: 1 << 20}
}

// notPublic are networks that netip has no name for.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("::/96"),
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// capped cuts off what a registry answers without end.
type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxRegistryAnswer), answer.Body}
	}
	return answer, err
}

// accounts are this provider's credentials, by registry.
type accounts map[string]authn.AuthConfig

const hub = "https://index.docker.io/v1/" // Docker Hub, as config.json knows it

// credentials reads a Docker config.json. Its credential helpers are not asked:
// they are programs of the desktop.
func credentials(path string) (accounts, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the registry credentials can't be read: %w", err)
	}
	var file struct {
		Auths accounts `json:"auths"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s is no Docker config.json with registry credentials: %w", path, err)
	}
	return file.Auths, nil
}

func (a accounts) of(host string) (authn.AuthConfig, bool) {
	keys := []string{host, "https://" + host, "http://" + host}
	if host == name.DefaultRegistry {
		keys = append(keys, hub, "docker.io")
	}
	for _, k := range keys {
		if c, ok := a[k]; ok {
			return c, true
		}
	}
	return authn.AuthConfig{}, false
}

// Resolve implements authn.Keychain.
func (a accounts) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if c, ok := a.of(r.RegistryStr()); ok {
		return authn.FromConfig(c), nil
	}
	return authn.Anonymous, nil
}

// header is what the daemon is told; empty is nothing.
func (a accounts) header(host string) (string, error) {
	c, ok := a.of(host)
	if !ok {
		return "", nil
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken, ServerAddress: host,
	})
}
