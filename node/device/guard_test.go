package device

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/bounded"
)

// stuck is a source whose driver hangs while it says so, whatever its context.
type stuck struct {
	hang atomic.Pointer[chan struct{}]
	made atomic.Int32
}

func (s *stuck) wait() {
	s.made.Add(1)
	if c := s.hang.Load(); c != nil {
		<-*c
	}
}

func (s *stuck) Name() string { return "stuck" }

func (s *stuck) Devices(context.Context) ([]Device, error) {
	s.wait()
	return []Device{{ID: "gpu", Model: "RTX 4090", VRAM: 24 << 30, Kind: Claimed}}, nil
}

func (s *stuck) Use(context.Context, Device) (Use, error) {
	s.wait()
	return Use{Utilisation: 7}, nil
}

func (s *stuck) Close() error {
	s.wait()
	return nil
}

func TestADriverThatHangsBlocksNothingAndIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := &stuck{}, &stuck{}
		v := NewInventory(Options{}, s, named{other, "other"})
		v.locker = func(string) (deviceLock, error) { return nil, nil }
		found, err := v.Look(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, found[0].Use.Utilisation)

		hang := make(chan struct{})
		s.hang.Store(&hang)
		before := s.made.Load()
		for range 5 {
			changes, err := v.Check(t.Context())
			require.ErrorIs(t, err, bounded.ErrNoAnswer)
			for _, c := range changes {
				require.Equal(t, Out, c.What, "its leases go on; nothing new is leased")
				require.Equal(t, bounded.ErrNoAnswer.Error(), c.Why)
			}
			require.Equal(t, before+1, s.made.Load(), "one call is outstanding, and no second one is made")
		}

		s.hang.Store(nil)
		close(hang)
		synctest.Wait()
		changes, err := v.Check(t.Context())
		require.NoError(t, err)
		require.Len(t, changes, 1)
		require.Equal(t, Back, changes[0].What)

		again := make(chan struct{})
		s.hang.Store(&again)
		ctx, cancel := context.WithCancel(t.Context())
		looked := make(chan error)
		go func() {
			_, err := v.Check(ctx)
			looked <- err
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		require.ErrorIs(t, <-looked, context.Canceled)
		require.ErrorIs(t, v.Close(), bounded.ErrNoAnswer, "and the others are closed")
		require.Equal(t, endTime, time.Since(began), "a shutdown doesn't wait for it")
		close(again)
	})
}

// named gives a source another name; its devices another ID.
type named struct {
	*stuck
	name string
}

func (n named) Name() string { return n.name }

func (n named) Devices(ctx context.Context) ([]Device, error) {
	d, err := n.stuck.Devices(ctx)
	d[0].ID = n.name
	return d, errors.Join(err)
}
