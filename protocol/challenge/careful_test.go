package challenge_test

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/modmath"
	"souk/protocol/challenge"
	"souk/protocol/pb"
)

// careful computes nothing, and fails where it is asked for what is over a limit.
type careful struct {
	t             *testing.T
	count         int
	jobs          []modmath.Memory
	began, closed int
}

func (c *careful) Begin(_ context.Context, _ peer.ID, s challenge.Start) (challenge.Session, error) {
	if s.Count < 1 || s.Count > challenge.MaxCount || s.Slug == "" {
		c.t.Fatalf("began with %+v", s)
	}
	c.count = s.Count
	c.began++
	return c, nil
}

func (c *careful) Keep(context.Context, peer.ID, *pb.Measurement) error { return nil }

func (c *careful) Over() <-chan struct{} { return nil }

func (c *careful) Ready() challenge.Ready { return challenge.Ready{Blocks: 8} }

func (c *careful) Multiply(_ context.Context, jobs []challenge.ProductJob) ([][]uint32, error) {
	out := make([][]uint32, len(jobs))
	for i, j := range jobs {
		if j.Check() != nil || j.N > challenge.MaxOrder || j.Device >= c.count {
			c.t.Fatalf("asked for %+v", j)
		}
		out[i] = make([]uint32, 4)
	}
	return out, nil
}

func (c *careful) Fill(_ context.Context, jobs []modmath.Memory) error {
	if c.jobs = jobs; len(jobs) != c.count || jobs[0].Blocks < 1 || jobs[0].Blocks > 8 {
		c.t.Fatalf("asked to fill %+v", jobs)
	}
	return nil
}

func (c *careful) words() ([][]uint64, error) {
	if c.jobs == nil {
		c.t.Fatal("asked for memory that isn't filled")
	}
	return make([][]uint64, len(c.jobs)), nil
}

func (c *careful) Sweep(_ context.Context, _ uint64, passes int) ([][]uint64, error) {
	if passes < 1 || passes > challenge.MaxPasses {
		c.t.Fatalf("%d passes", passes)
	}
	return c.words()
}

func (c *careful) Chase(_ context.Context, _, _ uint64, steps int) ([][]uint64, error) {
	if steps < 1 || steps > modmath.MaxSteps {
		c.t.Fatalf("%d steps", steps)
	}
	return c.words()
}

func (c *careful) Close() { c.closed++ }
