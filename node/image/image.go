// Package image names container images for good: it finds the digest that a
// tag means now, and what an archive of "docker save" holds.
//
// It promises that Pin gives a reference that can't come to mean another
// image, and that its errors say in one sentence what is wrong and what to do.
// It sends no credentials anywhere, pulls no image and keeps nothing.
package image

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/client"

	"souk/internal/pattern"
	"souk/protocol/market"
)

const (
	daemonTimeout   = 3 * time.Second  // for the local Docker's answer
	registryTimeout = 20 * time.Second // for all that one registry is asked
	maxAnswer       = 8 << 20          // bytes of one answer of a registry: a manifest, configuration, token or error
)

// Pinned is an image that is named for good.
type Pinned struct {
	Ref      string // NAME@sha256:DIGEST
	Platform string // "linux/amd64"; empty where it isn't known, or there are several
}

// Error is an image that can't be had or meant. Tell the user.
type Error struct{ Reason string }

func (e *Error) Error() string { return e.Reason }

func wrong(format string, args ...any) error { return &Error{Reason: fmt.Sprintf(format, args...)} }

// Daemon is what is asked of a local Docker; *client.Client is one.
type Daemon interface {
	ImageInspect(ctx context.Context, image string, opts ...client.ImageInspectOption) (client.ImageInspectResult, error)
}

// Resolver finds digests: in the name itself, else of the local Docker, else
// of the registry.
type Resolver struct {
	Docker    Daemon            // nil: none is asked
	Transport http.RoundTripper // to registries; nil is http.DefaultTransport
}

// Local is a Resolver that asks the Docker which the environment names, and a
// func to close it.
func Local() (Resolver, func()) {
	c, err := client.New(client.FromEnv)
	if err != nil {
		return Resolver{}, func() {}
	}
	return Resolver{Docker: c}, func() { _ = c.Close() }
}

// reference is an image's name, taken apart.
type reference struct {
	text string // as the user wrote it
	bare string // without tag and digest
	tag  name.Tag
}

var malformedDigest = pattern.Lazy(`@(.*)$`)

// Pin finds what text means now. Its errors are *Error, or ctx's.
func (r Resolver) Pin(ctx context.Context, text string) (Pinned, error) {
	if at := malformedDigest().FindStringSubmatch(text); at != nil {
		return pinnedByName(text, at[1])
	}
	tag, err := name.NewTag(text)
	if err != nil {
		return Pinned{}, notAName(text)
	}
	ref := reference{text: text, bare: strings.TrimSuffix(text, ":"+tag.TagStr()), tag: tag}
	if r.Docker != nil {
		p, known, err := r.ofDaemon(ctx, ref)
		if known || err != nil {
			return p, err
		}
	}
	return r.ofRegistry(ctx, ref)
}

// CheckName says whether text can name an image, and asks nobody.
func CheckName(text string) error {
	if at := malformedDigest().FindStringSubmatch(text); at != nil {
		_, err := pinnedByName(text, at[1])
		return err
	}
	if _, err := name.NewTag(text); err != nil {
		return notAName(text)
	}
	return nil
}

func notAName(text string) error {
	return wrong("%.100q is no image name; write one such as ghcr.io/you/app:1, or the path of an archive that ends in .tar", text)
}

// pinnedByName takes the digest that the user wrote.
func pinnedByName(text, digest string) (Pinned, error) {
	d, err := name.NewDigest(text)
	ref := ""
	if err == nil {
		bare := strings.TrimSuffix(text, "@"+digest)
		if slash := strings.LastIndexByte(bare, '/'); strings.LastIndexByte(bare, ':') > slash {
			bare = bare[:strings.LastIndexByte(bare, ':')] // the digest says all that the tag could
		}
		ref = bare + "@" + d.DigestStr()
		err = market.Image{Ref: ref}.Validate()
	}
	if err != nil {
		return Pinned{}, wrong("%.160q has a malformed name or digest; a digest is sha256: and 64 hexadecimal digits", text)
	}
	return Pinned{Ref: ref}, nil
}

// ofDaemon is the digest that the local Docker knows the image's registry by.
// What Docker can't say, a registry may.
func (r Resolver) ofDaemon(ctx context.Context, ref reference) (p Pinned, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	i, err := r.Docker.ImageInspect(ctx, ref.text)
	if err != nil {
		return Pinned{}, false, nil
	}
	p.Platform = platform(i.Os, i.Architecture, i.Variant)
	for _, text := range i.RepoDigests {
		d, err := name.NewDigest(text)
		if err != nil || (market.Image{Ref: text}).Validate() != nil {
			continue
		}
		if d.Repository == ref.tag.Repository {
			p.Ref = ref.bare + "@" + d.DigestStr()
			return p, true, nil
		}
		p.Ref = text // the same image under another name
	}
	if p.Ref == "" {
		return p, true, wrong("image %s is in the local Docker only, where no provider could get it; send it along: docker save %s -o %s, then --image %s",
			ref.text, ref.text, archiveName(ref), archiveName(ref))
	}
	return p, true, nil
}

// archiveName is what to call an archive of an image.
func archiveName(ref reference) string { return path.Base(ref.bare) + ".tar" }

// platform is "linux/arm64/v8", or empty where it isn't known.
func platform(system, architecture, variant string) string {
	if system == "" || architecture == "" || architecture == "unknown" {
		return ""
	}
	return strings.TrimSuffix(system+"/"+architecture+"/"+variant, "/")
}
