package image

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"souk/protocol/market"
)

// ofRegistry asks the registry, without anybody's credentials: the provider
// who pulls the image has its own, or none.
func (r Resolver) ofRegistry(ctx context.Context, ref reference) (Pinned, error) {
	limited, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	way := r.Transport
	if way == nil {
		way = http.DefaultTransport
	}
	options := []remote.Option{
		remote.WithContext(limited), remote.WithAuth(authn.Anonymous), remote.WithTransport(capped{way}),
		remote.WithRetryBackoff(remote.Backoff{Duration: time.Second, Factor: 2, Steps: 2}),
	}
	head, err := remote.Head(ref.tag, options...)
	if ctx.Err() != nil {
		return Pinned{}, ctx.Err()
	}
	if err != nil {
		return Pinned{}, unresolved(ref, err)
	}
	p := Pinned{Ref: ref.bare + "@" + head.Digest.String()}
	if (market.Image{Ref: p.Ref}).Validate() != nil {
		return Pinned{}, wrong("the registry %s gave %.100q for %s, which is no sha256 digest", ref.tag.RegistryStr(), head.Digest, ref.text)
	}
	p.Platform = platformOf(ref, head, options)
	return p, nil
}

// capped cuts off what is answered without end: most of it is read whole.
type capped struct{ way http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.way.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	return answer, nil
}

func unresolved(ref reference, err error) error {
	var refused *transport.Error
	if errors.As(err, &refused) {
		switch refused.StatusCode {
		case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
			return wrong("there is no image %s that the registry %s shows to everybody; check the name and tag, or send it along as an archive: --image FILE.tar", ref.text, ref.tag.RegistryStr())
		}
		return wrong("the registry %s answers with HTTP status %d when asked for %s; try again later, or name the image with its digest (%s@sha256:…)",
			ref.tag.RegistryStr(), refused.StatusCode, ref.text, ref.bare)
	}
	return wrong("the registry %s can't be reached to find out the digest of %s; name the image with its digest (%s@sha256:…), or send it along: docker save %s -o %s, then --image %s",
		ref.tag.RegistryStr(), ref.text, ref.bare, ref.text, archiveName(ref), archiveName(ref))
}

// platformOf is the one platform of an image, as far as the registry says.
// That it doesn't is no error: the provider looks at what it pulled.
func platformOf(ref reference, head *v1.Descriptor, options []remote.Option) string {
	at := ref.tag.Digest(head.Digest.String())
	if !head.MediaType.IsIndex() {
		img, err := remote.Image(at, options...)
		if err != nil {
			return ""
		}
		c, err := img.ConfigFile()
		if err != nil {
			return ""
		}
		return platform(c.OS, c.Architecture, c.Variant)
	}
	index, err := remote.Index(at, options...)
	if err != nil {
		return ""
	}
	m, err := index.IndexManifest()
	if err != nil {
		return ""
	}
	only := ""
	for _, d := range m.Manifests {
		if d.Platform == nil || platform(d.Platform.OS, d.Platform.Architecture, "") == "" {
			continue // an attestation
		}
		if only != "" {
			return ""
		}
		only = platform(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
	}
	return only
}
