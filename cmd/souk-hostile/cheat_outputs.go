package main

import (
	"context"
	"crypto/rand"
	"io"

	"souk/protocol/blob"
	"souk/protocol/wire"
)

// stallFor is how long a withheld transfer is kept open, longer than any
// client waits.
const stallFor = 2 * wire.IdleTimeout

// The ways to name outputs and not to give them. Each says after one tick
// that the job has succeeded.
func withholds() []cheat {
	hold := func(name, does string, serve func(ctx context.Context, l *rented, skip int) (blob.Source, error)) cheat {
		return cheat{name: name, does: does, ticks: 1, serve: serve}
	}
	return []cheat{
		hold("withhold", "names outputs and refuses their blocks", func(_ context.Context, l *rented, _ int) (blob.Source, error) {
			l.say("asked for the outputs %s: there are none to give", l.results.root)
			return nil, wire.Refuse(wire.Unknown, "a block of this data is not here")
		}),
		hold("withhold:stall", "names outputs and lets the client wait for them", func(ctx context.Context, l *rented, _ int) (blob.Source, error) {
			l.say("asked for the outputs %s: letting the client wait", l.results.root)
			return stalling(ctx), nil
		}),
		hold("withhold:cut", "sends a part of the outputs and breaks off, each time", func(_ context.Context, l *rented, skip int) (blob.Source, error) {
			l.say("asked for the outputs %s: breaking off in the middle", l.results.root)
			return l.part(skip, io.EOF), nil
		}),
		hold("withhold:end", "sends a part of the outputs and says that it was all", func(_ context.Context, l *rented, skip int) (blob.Source, error) {
			l.say("asked for the outputs %s: ending in the middle", l.results.root)
			return l.part(skip, nil), nil
		}),
		hold("withhold:swap", "sends other blocks than those of the outputs", func(_ context.Context, l *rented, _ int) (blob.Source, error) {
			l.say("asked for the outputs %s: sending something else", l.results.root)
			return swapped(), nil
		}),
	}
}

func stalling(ctx context.Context) blob.Source {
	return func(yield func([]byte, error) bool) {
		wait(ctx, stallFor)
		yield(nil, io.EOF)
	}
}

// part is all blocks but the last, and then an error if there is one.
func (l *rented) part(skip int, err error) blob.Source {
	blocks := l.results.blocks
	return func(yield func([]byte, error) bool) {
		for _, b := range blocks[min(skip, len(blocks)-1) : len(blocks)-1] {
			if !yield(b, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func swapped() blob.Source {
	return func(yield func([]byte, error) bool) {
		block := make([]byte, resultsBytes)
		_, _ = rand.Read(block) // never fails
		yield(block, nil)
	}
}

// whole is all blocks of the outputs, as an honest provider serves them.
func (l *rented) whole(skip int) blob.Source {
	return func(yield func([]byte, error) bool) {
		for _, b := range l.results.blocks[min(skip, len(l.results.blocks)):] {
			if !yield(b, nil) {
				return
			}
		}
	}
}
