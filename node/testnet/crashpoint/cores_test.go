package crashpoint_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/modmath"
	"souk/protocol/challenge"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// work is how long a product takes, of fake time.
const work = 400 * time.Millisecond

// smallChallenge is one that costs this machine next to nothing.
var smallChallenge = challenge.Options{Work: work, Orders: []int{16}, Samples: 4}

// cores answer a provider's challenges.
type cores struct {
	shy, wrong atomic.Bool // takes none; errs
}

func (c *cores) Begin(context.Context, peer.ID, challenge.Start) (challenge.Session, error) {
	if c.shy.Load() {
		return nil, wire.Refuse(wire.NoMatch, "no driver here computes")
	}
	return c, nil
}

func (c *cores) Keep(context.Context, peer.ID, *pb.Measurement) error { return nil }

func (c *cores) Ready() challenge.Ready { return challenge.Ready{Simulated: true} }

func (c *cores) Multiply(ctx context.Context, jobs []challenge.ProductJob) (out [][]uint32, err error) {
	select {
	case <-time.After(work):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, j := range jobs {
		product, err := j.Compute(ctx)
		if err != nil {
			return nil, err
		}
		if c.wrong.Load() {
			product[0] ^= 1
		}
		out = append(out, product)
	}
	return out, nil
}

func (c *cores) Fill(context.Context, []modmath.Memory) error                   { return nil }
func (c *cores) Sweep(context.Context, uint64, int) ([][]uint64, error)         { return nil, nil }
func (c *cores) Chase(context.Context, uint64, uint64, int) ([][]uint64, error) { return nil, nil }
func (c *cores) Over() <-chan struct{}                                          { return nil }
func (c *cores) Close()                                                         {}
