package challenge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/modmath"
	"souk/protocol/challenge"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// large is a prover whose products are as large as they may be, and nothing else.
type large struct{ closed time.Time }

func (l *large) Begin(context.Context, peer.ID, challenge.Start) (challenge.Session, error) {
	return l, nil
}
func (l *large) Keep(context.Context, peer.ID, *pb.Measurement) error { return nil }
func (l *large) Ready() challenge.Ready                               { return challenge.Ready{Blocks: 4} }
func (l *large) Fill(context.Context, []modmath.Memory) error         { return nil }
func (l *large) Over() <-chan struct{}                                { return nil }
func (l *large) Close()                                               { l.closed = time.Now() }

func (l *large) Multiply(_ context.Context, jobs []challenge.ProductJob) ([][]uint32, error) {
	return [][]uint32{make([]uint32, jobs[0].N*jobs[0].N)}, nil
}

func (l *large) Sweep(context.Context, uint64, int) ([][]uint64, error) { return nil, nil }

func (l *large) Chase(context.Context, uint64, uint64, int) ([][]uint64, error) { return nil, nil }

func TestAClientThatTakesResultsSlowlyHoldsDevicesNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		here, there := challenge.Pipe(ctx)
		prover, began := &large{}, time.Now()
		done := make(chan error, 1)
		go func() {
			done <- challenge.Answer(ctx, there, parties, prover)
			there.Close()
		}()
		for _, q := range []*pb.ChallengeRequest{good(), product(2048, 1, 32, 0), show(0)} {
			require.NoError(t, here.Write(q))
			if q.GetShow() == nil {
				require.NoError(t, here.Read(&pb.ChallengeAnswer{}, wire.MaxData, time.Second))
			}
		}
		for here.Read(&pb.ChallengeAnswer{}, wire.MaxData, wire.FrameTimeout) == nil {
			time.Sleep(wire.FrameTimeout - time.Second)
		}
		require.Equal(t, wire.OverLimit, wire.AsRefusal(<-done).Code)
		require.LessOrEqual(t, prover.closed.Sub(began), challenge.MaxTime+wire.FrameTimeout)
	})
}
