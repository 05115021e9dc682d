package docker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// work counts how often it was begun, and ends as it is told.
type work struct {
	begun, released atomic.Int32
	end             chan error
}

func (w *work) do(ctx context.Context, tell func(string)) (func(), error) {
	w.begun.Add(1)
	tell("begun")
	release := func() { w.released.Add(1) }
	select {
	case err := <-w.end:
		return release, err
	case <-ctx.Done():
		return release, ctx.Err()
	}
}

// use fails if what the work made is gone by then.
func (w *work) use() error {
	if w.released.Load() > 0 {
		return errors.New("it is gone")
	}
	return nil
}

// waits is somebody who waits for the work, with a channel for each thing heard of it.
func waits(ctx context.Context, f *flights, w *work) (told chan string, ended chan error) {
	told, ended = make(chan string, 10), make(chan error, 1)
	go func() { ended <- f.do(ctx, "image", func(s string) { told <- s }, w.do, w.use) }()
	return told, ended
}

// joined waits until so many wait for the image.
func joined(t *testing.T, f *flights, n int) {
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		w := f.open["image"]
		if w == nil {
			return n == 0
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.tells) == n
	}, waitTest, tick)
}

func TestOnePullForAllWhoWait(t *testing.T) {
	f, w := &flights{}, &work{end: make(chan error)}
	told, first := waits(t.Context(), f, w)
	require.Equal(t, "begun", <-told)
	_, second := waits(t.Context(), f, w)
	joined(t, f, 2)
	failure := errors.New("no such image")
	w.end <- failure
	require.ErrorIs(t, <-first, failure)
	require.ErrorIs(t, <-second, failure)
	require.Equal(t, int32(1), w.released.Swap(0), "once nobody uses it")
	require.Equal(t, int32(1), w.begun.Load())

	_, again := waits(t.Context(), f, w)
	w.end <- nil
	require.NoError(t, <-again, "what comes after the end begins anew")
	require.Equal(t, int32(2), w.begun.Load())
}

func TestWhoLeavesEndsNobodyElsesPull(t *testing.T) {
	f, w := &flights{}, &work{end: make(chan error)}
	ctx, leave := context.WithCancel(t.Context())
	_, first := waits(ctx, f, w)
	joined(t, f, 1)
	_, second := waits(t.Context(), f, w)
	joined(t, f, 2)
	leave()
	require.ErrorIs(t, <-first, context.Canceled)
	w.end <- nil
	require.NoError(t, <-second)
	require.Equal(t, int32(1), w.begun.Load())
}

func TestTheLastWhoLeavesEndsThePull(t *testing.T) {
	f, w := &flights{}, &work{end: make(chan error)}
	ctx, leave := context.WithCancel(t.Context())
	_, only := waits(ctx, f, w)
	joined(t, f, 1)
	leave()
	require.ErrorIs(t, <-only, context.Canceled) // goleak sees that its work has ended
	joined(t, f, 0)
}
