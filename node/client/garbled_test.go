package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	p2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/protocol/wire"
)

// A provider that answers with garbage is asked five times, then shut out for a
// while; one whose connection breaks in the middle of an answer isn't.
func TestWhoAnswersWithGarbageIsShutOut(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		reset  bool
		shut   bool
	}{
		"garbage":                  {[]byte{3, 0xff, 0xff, 0xff}, false, true},
		"a frame over the cap":     {[]byte{0xff, 0xff, 0xff, 0x7f}, false, true},
		"an answer that is cut":    {[]byte{100, 1, 2}, false, false},
		"a stream that is cut off": {nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, script{price: 360_000})
			f.host.SetStreamHandler(wire.OfferProtocol, func(s p2pnet.Stream) {
				_, _ = s.Write(c.answer)
				if c.reset {
					_ = s.Reset()
				}
				_ = s.Close()
			})
			a := newActor(t, f)
			var shut, at atomic.Int32
			a.block = func(p peer.ID, d time.Duration) {
				require.Equal(t, f.host.ID(), p)
				require.Equal(t, wire.BlockFor, d)
				shut.Add(1)
			}
			e := a.start(nil)
			for range wire.MalformedBeforeBlock + 1 {
				_, err := e.Offers(t.Context(), client.Need{})
				require.NoError(t, err)
				if shut.Load() == 0 {
					at.Add(1)
				}
			}
			if !c.shut {
				require.Zero(t, shut.Load())
				return
			}
			require.EqualValues(t, 1, shut.Load())
			require.EqualValues(t, wire.MalformedBeforeBlock, at.Load())
		})
	}
}
