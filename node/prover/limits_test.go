package prover

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
)

func TestLimits(t *testing.T) {
	prover := func(t *testing.T) *Prover {
		key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
		require.NoError(t, err)
		p, err := New(Config{Network: "test", Key: key, Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) }})
		require.NoError(t, err)
		return p
	}
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"challenges of a peer, and one more every 200 s": func(t *testing.T, n int64) error {
			p := prover(t)
			for range n {
				if err := p.enter("one"); err != nil {
					return err
				}
				p.leave("one")
			}
			return nil
		},
		"peers whose challenges are remembered": func(t *testing.T, n int64) error {
			p := prover(t)
			for i := range n {
				require.NoError(t, p.enter(peer.ID(fmt.Sprint(i))))
			}
			return limittest.Refused(p.asks.Len() == int(n))
		},
	})
}
