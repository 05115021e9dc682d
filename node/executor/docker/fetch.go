package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	layersAtOnce = 3
	tellEvery    = 500 * time.Millisecond // of progress
)

// fetch brings the layers into file, each verified as it comes: packed against the
// manifest, and unpacked against the configuration and what one image may take.
func (o offered) fetch(ctx context.Context, file *os.File, most int64, tell func(string)) (*archive, error) {
	a := &archive{file: file, config: o.config, layers: make([]span, len(o.layers))}
	takes := make([]room, len(o.layers))
	left := &budget{whole: most}
	p := &progress{total: o.size, tell: tell}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(layersAtOnce)
	at := int64(0)
	for i, size := range o.sizes {
		a.layers[i] = span{at, size}
		at += size
		g.Go(func() (err error) {
			takes[i], err = o.layer(ctx, i, io.MultiWriter(io.NewOffsetWriter(file, a.layers[i].offset), p), left)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, t := range takes {
		a.takes.add(t)
	}
	return a, nil
}

// layer brings one layer.
func (o offered) layer(ctx context.Context, i int, to io.Writer, left *budget) (room, error) {
	body, err := o.layers[i].Compressed()
	if err != nil {
		return room{}, registryFault(o.ref, err)
	}
	defer body.Close()
	defer context.AfterFunc(ctx, func() { body.Close() })()
	from := &noting{from: body}
	both := io.TeeReader(from, to)
	takes, err := verifyLayer(ctx, both, o.ids[i], left)
	if err == nil {
		_, err = io.Copy(io.Discard, both) // what follows the unpacked layer is part of its digest
	}
	switch {
	case ctx.Err() != nil:
		return room{}, ctx.Err()
	case from.err != nil: // which unpacking took for the layer's own
		return room{}, registryFault(o.ref, from.err)
	}
	return takes, err
}

// noting keeps the error that reading ended with.
type noting struct {
	from io.Reader
	err  error
}

func (n *noting) Read(p []byte) (int, error) {
	got, err := n.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return got, err
}

// progress counts bytes and tells of them, not too often.
type progress struct {
	total int64
	tell  func(string)
	sum   atomic.Int64
	told  atomic.Int64 // nanoseconds of the clock
}

func (p *progress) Write(b []byte) (int, error) {
	sum := p.sum.Add(int64(len(b)))
	now, before := time.Now().UnixNano(), p.told.Load()
	if now-before >= int64(tellEvery) && p.told.CompareAndSwap(before, now) {
		p.tell(fmt.Sprintf("pulling %d of %d MiB", sum>>20, p.total>>20))
	}
	return len(b), nil
}
