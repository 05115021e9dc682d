package device

import (
	"context"
	"errors"
	"io"
	"time"

	"souk/internal/bounded"
)

const (
	// answerTime is how long a driver may take to list its devices: starting
	// up those of a large machine takes seconds.
	answerTime = 30 * time.Second
	// readTime is how long it may take to say how one is used, or to be closed.
	readTime = 5 * time.Second
	// endTime is how long a source may take to return once its context has ended.
	endTime = time.Second
)

var errNotRead = errors.New("this source doesn't say how devices are used")

// guarded is a source whose driver may hang: what isn't answered in time is
// bounded.ErrNoAnswer, and so is every call until the driver returns.
type guarded struct {
	Source
	calls *bounded.Calls
}

func guard(sources []Source) []Source {
	out := make([]Source, len(sources))
	for i, s := range sources {
		out[i] = &guarded{s, bounded.New()}
	}
	return out
}

// within makes one call of the driver's.
func within[T any](ctx context.Context, g *guarded, most time.Duration, call func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	v, err := bounded.Do(limited, g.calls, endTime, func() (T, error) { return call(limited) })
	if errors.Is(err, bounded.ErrNoAnswer) && ctx.Err() != nil {
		err = ctx.Err() // nobody waited for it
	}
	return v, err
}

func (g *guarded) Devices(ctx context.Context) ([]Device, error) {
	return within(ctx, g, answerTime, g.Source.Devices)
}

// Use implements Reader.
func (g *guarded) Use(ctx context.Context, d Device) (Use, error) {
	r, ok := g.Source.(Reader)
	if !ok {
		return Use{}, errNotRead
	}
	return within(ctx, g, readTime, func(ctx context.Context) (Use, error) { return r.Use(ctx, d) })
}

// Explain implements Explainer.
func (g *guarded) Explain() []string {
	e, ok := g.Source.(Explainer)
	if !ok {
		return nil
	}
	lines, err := within(context.Background(), g, readTime, func(context.Context) ([]string, error) { return e.Explain(), nil })
	if err != nil {
		return []string{g.Name() + ": " + err.Error()}
	}
	return lines
}

// Close implements io.Closer. A driver that hangs is left as it is.
func (g *guarded) Close() error {
	c, ok := g.Source.(io.Closer)
	if !ok {
		return nil
	}
	_, err := within(context.Background(), g, readTime, func(context.Context) (struct{}, error) { return struct{}{}, c.Close() })
	return err
}
