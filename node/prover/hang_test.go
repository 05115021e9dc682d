package prover_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/prover"
	"souk/protocol/wire"
)

// A driver that hangs keeps neither the conversation nor the devices of others,
// and isn't called again until it answers.
func TestADriverThatHangsEndsTheChallengeAndIsNotCalledAgain(t *testing.T) {
	w := newWorld(t, func(*prover.Config) {})
	hang, made := make(chan struct{}), 0
	var mu sync.Mutex
	w.fail = func(call string) error {
		if call == "open a" || call == "open b" {
			mu.Lock()
			made++
			mu.Unlock()
			<-hang
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the client is gone
	for _, who := range []string{"one", "two", "three"} {
		_, err := w.Begin(ctx, newPeer(t), start(2))
		require.True(t, wire.IsCode(err, wire.Busy), "%s: %v", who, err)
		require.Contains(t, err.Error(), "doesn't answer")
	}
	mu.Lock()
	require.Equal(t, 2, made, "one call of each device is outstanding")
	mu.Unlock()
	require.Len(t, w.free.Free().Devices, 3, "nothing is held")

	close(hang)
	require.Eventually(t, func() bool { // and what was opened late is closed again
		s, err := w.Begin(t.Context(), newPeer(t), start(2))
		if err == nil {
			s.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

func newPeer(t *testing.T) peer.ID {
	_, id := newKey(t)
	return id
}
