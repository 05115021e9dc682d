package challenge_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/protocol/challenge"
)

// zeros answers every product at once, with nothing computed.
type zeros struct {
	*machine
	operations float64 // that were asked for
}

func (z *zeros) Begin(ctx context.Context, client peer.ID, s challenge.Start) (challenge.Session, error) {
	honest, err := z.machine.Begin(ctx, client, s)
	return &zeroSession{honest, z}, err
}

type zeroSession struct {
	challenge.Session
	z *zeros
}

func (s *zeroSession) Multiply(_ context.Context, jobs []challenge.ProductJob) ([][]uint32, error) {
	out := make([][]uint32, len(jobs))
	for i, j := range jobs {
		s.z.operations += float64(j.Operations())
		out[i] = make([]uint32, j.N*j.N)
	}
	return out, nil
}

// Who answers faster than anything can compute would, unchecked, have the client
// check products of whatever size its speed seems to call for.
func TestAnAnswerOfNothingCostsItsClientNothing(t *testing.T) {
	for name, mops := range map[string]uint64{"no claim": 0, "a huge claim": 1e12} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := &zeros{machine: honest(rand.New(rand.NewPCG(1, 1)), 2)}
				serve := func(ctx context.Context, c challenge.Conn) { challenge.Converse(ctx, c, parties, z) }
				v, err := converse(t.Context(), 1, serve, challenge.Claim{Slug: "rtx-4090", Count: 2, Mops: mops}, challenge.Options{})
				require.NoError(t, err)
				require.Equal(t, challenge.WrongProduct, v.Caught)
				require.LessOrEqual(t, z.operations, float64(1<<37))
			})
		})
	}
}
