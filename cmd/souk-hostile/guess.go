package main

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/modmath"
	"souk/protocol/challenge"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// guess claims a GPU that isn't there, and takes challenges under a lease
// alone: whoever wants to know has to lease it first.
func guess() cheat {
	return cheat{name: "guess", does: "answers challenges of its GPU, under a lease alone, with made-up products", ticks: 600, proves: true}
}

// guesser answers challenges without computing anything.
type guesser struct{ shop *shop }

func (g guesser) Begin(_ context.Context, _ peer.ID, s challenge.Start) (challenge.Session, error) {
	g.shop.say("challenged: %dx %s, making the answers up", s.Count, s.Slug)
	return g, nil
}

func (guesser) Keep(context.Context, peer.ID, *pb.Measurement) error { return nil }
func (guesser) Ready() challenge.Ready                               { return challenge.Ready{Simulated: true} }
func (guesser) Over() <-chan struct{}                                { return nil }
func (guesser) Close()                                               {}

func (guesser) Multiply(_ context.Context, jobs []challenge.ProductJob) ([][]uint32, error) {
	out := make([][]uint32, len(jobs))
	for i, j := range jobs {
		out[i] = make([]uint32, j.N*j.N)
	}
	return out, nil
}

func (guesser) Fill(context.Context, []modmath.Memory) error { return errNoMemory }

func (guesser) Sweep(context.Context, uint64, int) ([][]uint64, error) { return nil, errNoMemory }

func (guesser) Chase(context.Context, uint64, uint64, int) ([][]uint64, error) {
	return nil, errNoMemory
}

var errNoMemory = wire.Refuse(wire.NoMatch, "there is no memory to fill")
