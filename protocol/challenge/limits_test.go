package challenge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/internal/modmath"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// idle is a prover and its session that compute nothing, and take their time.
type idle struct{ takes time.Duration }

func (i idle) Begin(context.Context, peer.ID, Start) (Session, error) { return i, nil }
func (idle) Keep(context.Context, peer.ID, *pb.Measurement) error     { return nil }
func (idle) Ready() Ready                                             { return Ready{Blocks: 4} }
func (idle) Over() <-chan struct{}                                    { return nil }

func (idle) Close()                                               {}
func (i idle) Fill(ctx context.Context, _ []modmath.Memory) error { return i.work(ctx) }
func (i idle) Sweep(ctx context.Context, _ uint64, _ int) ([][]uint64, error) {
	return [][]uint64{{1}}, i.work(ctx)
}

func (i idle) Chase(ctx context.Context, _, _ uint64, _ int) ([][]uint64, error) {
	return [][]uint64{{1}}, i.work(ctx)
}

func (i idle) Multiply(ctx context.Context, _ []ProductJob) ([][]uint32, error) {
	return [][]uint32{{1}}, i.work(ctx)
}

func (i idle) work(ctx context.Context) error {
	select {
	case <-time.After(i.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// asked is what a provider ends with that is asked all of this, each answer
// taking so long.
func asked(t *testing.T, takes time.Duration, questions ...*pb.ChallengeRequest) (err error) {
	synctest.Test(t, func(t *testing.T) {
		here, there := Pipe(t.Context())
		ended := make(chan error, 1)
		go func() {
			defer there.Close()
			ended <- Answer(t.Context(), there, Parties{Network: "test"}, idle{takes})
		}()
		start := &pb.ChallengeStart{Network: "test", Slug: "x", Count: 1, Blocks: 4}
		for _, q := range append([]*pb.ChallengeRequest{{Request: &pb.ChallengeRequest_Start{Start: start}}}, questions...) {
			if here.Write(q) != nil || here.Read(&pb.ChallengeAnswer{}, wire.MaxData, 2*MaxTime) != nil {
				break
			}
		}
		here.Close()
		err = <-ended
	})
	if err != nil && !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, context.DeadlineExceeded) {
		require.True(t, wire.IsCode(err, wire.OverLimit), "%v", err)
	}
	return err
}

func productOf(n, rounds uint32, devices int) *pb.ChallengeProduct {
	p := &pb.ChallengeProduct{Nonce: make([]byte, nonceBytes), N: n, Rounds: rounds}
	for i := range devices {
		p.Devices = append(p.Devices, uint32(i))
	}
	return p
}

func sweepOf(passes uint32) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Sweep{Sweep: &pb.ChallengeSweep{Passes: passes}}}
}

func chaseOf(steps uint32) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Chase{Chase: &pb.ChallengeChase{Steps: steps}}}
}

func times(n int64, q *pb.ChallengeRequest, before ...*pb.ChallengeRequest) []*pb.ChallengeRequest {
	for range n {
		before = append(before, q)
	}
	return before
}

func TestLimits(t *testing.T) {
	filled := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Fill{Fill: &pb.ChallengeFill{Nonce: make([]byte, nonceBytes), Blocks: 1}}}
	multiplied := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Product{Product: productOf(8, 1, 1)}}
	ping := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Ping{Ping: &pb.ChallengePing{}}}
	begun := func(s *pb.ChallengeStart) error {
		_, err := readStart(s, "")
		return err
	}
	asksFor := func(q *pb.ChallengeProduct) error {
		_, err := readProduct(q, MaxCount, Parties{})
		return err
	}
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"devices in a challenge": func(_ *testing.T, n int64) error {
			return begun(&pb.ChallengeStart{Slug: "x", Count: uint32(n)})
		},
		"slug in a challenge": func(_ *testing.T, n int64) error {
			return begun(&pb.ChallengeStart{Slug: strings.Repeat("x", int(n)), Count: 1})
		},
		"order of a matrix in a challenge":   func(_ *testing.T, n int64) error { return asksFor(productOf(uint32(n), 1, 1)) },
		"rounds of a product in a challenge": func(_ *testing.T, n int64) error { return asksFor(productOf(1, uint32(n), 1)) },
		"results of one answer in a challenge": func(t *testing.T, n int64) error {
			const order, entry = 1024, 4
			devices := (n + order*order*entry - 1) / (order * order * entry) // the next larger product where n is none
			require.LessOrEqual(t, devices, int64(MaxCount)+1)
			return resultsOf(order, int(devices))
		},
		"products in a challenge": func(t *testing.T, n int64) error { return asked(t, 0, times(n, multiplied)...) },
		"sweeps, and chases, in a challenge": func(t *testing.T, n int64) error {
			swept, chased := asked(t, 0, times(n, sweepOf(1), filled)...), asked(t, 0, times(n, chaseOf(1), filled)...)
			require.Equal(t, swept == nil, chased == nil)
			return swept
		},
		"passes of a sweep in a challenge":   func(t *testing.T, n int64) error { return asked(t, 0, filled, sweepOf(uint32(n))) },
		"steps of a chase in a challenge":    func(t *testing.T, n int64) error { return asked(t, 0, filled, chaseOf(uint32(n))) },
		"pings in a challenge":               func(t *testing.T, n int64) error { return asked(t, 0, times(n, ping)...) },
		"work for one answer in a challenge": func(t *testing.T, n int64) error { return asked(t, limittest.Wait(n), multiplied) },
		"a challenge": func(t *testing.T, n int64) error {
			return asked(t, limittest.Wait(n)/5, times(5, multiplied, ping)...)
		},
	})
}

// resultsOf asks so many devices for products of one order.
func resultsOf(order uint32, devices int) error {
	_, err := readProduct(productOf(order, 1, devices), devices, Parties{})
	return err
}
