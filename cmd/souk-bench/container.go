package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"souk/node/executor"
)

// containers are the start to the end of a container that does nothing, through
// souk's executor and by docker run of the same image on the same runtime.
func containers() []figure {
	return []figure{
		{
			name:  "container-cold",
			about: "a no-op container of an image that isn't there yet, against docker load and docker run; ≤ 1.15",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return compare(ctx, s, "container-cold", s.times(coldRuns), cold)
			},
		},
		{
			name:  "container-warm",
			about: "a no-op container of an image that is there, against docker run; ≤ 1.15",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return compare(ctx, s, "container-warm", s.times(warmRuns), warm)
			},
		},
	}
}

const (
	coldRuns = 7
	warmRuns = 15
)

// pair runs the image once through souk and once by docker.
type pair func(ctx context.Context, b *dockerBench) (souk, docker time.Duration, err error)

// compare takes turns, so that what else the machine does hits both alike, and gives the medians.
func compare(ctx context.Context, w io.Writer, name string, runs int, once pair) (_ []result, err error) {
	b, err := newDockerBench(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := b.close(); err == nil {
			err = closed
		}
	}()
	if _, _, err := once(ctx, b); err != nil { // warms up, and isn't counted
		return nil, err
	}
	var ours, theirs []time.Duration
	for i := range runs {
		souk, docker, err := once(ctx, b)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(w, "  %d of %d: souk %s, docker %s\n", i+1, runs, souk.Round(time.Millisecond), docker.Round(time.Millisecond))
		ours, theirs = append(ours, souk), append(theirs, docker)
	}
	r := against(name, median(ours).Seconds(), "s", median(theirs).Seconds(), "s by docker", goal{most: 1.15})
	r.Note = fmt.Sprintf("medians of %d runs each, by turns, both on runc without a network; souk's with its limited disk, log and records", runs)
	return []result{r}, nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// cold brings the image as an archive both times, and takes it away again.
func cold(ctx context.Context, b *dockerBench) (souk, docker time.Duration, err error) {
	if souk, err = b.souk(ctx, &executor.Image{Archive: b.archive}); err != nil {
		return 0, 0, err
	}
	if err := b.docker(ctx, "image", "rm", "--force", b.id); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := b.docker(ctx, "load", "--quiet", "--input", b.file); err != nil {
		return 0, 0, err
	}
	loaded := time.Since(began)
	ran, err := b.run(ctx)
	if err != nil {
		return 0, 0, err
	}
	return souk, loaded + ran, b.docker(ctx, "image", "rm", "--force", b.id)
}

// warm uses an image that is there, by its name and ID.
func warm(ctx context.Context, b *dockerBench) (souk, docker time.Duration, err error) {
	if err := b.docker(ctx, "image", "inspect", "--format", "{{.Id}}", b.id); err != nil {
		// Only what souk brought can be named to it.
		if _, err := b.souk(ctx, &executor.Image{Archive: b.archive}); err != nil {
			return 0, 0, err
		}
	}
	if souk, err = b.souk(ctx, &executor.Image{Ref: b.name + "@" + b.id}); err != nil {
		return 0, 0, err
	}
	docker, err = b.run(ctx)
	return souk, docker, err
}
