package challenge

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"time"
)

// Options are how a challenge is made; zero fields take the default. The
// defaults go together: a shared device takes 2*Work where an honest one is
// allowed Work/Share and Slack, and two round trips of 300 ms may hide in that.
type Options struct {
	Work      time.Duration // that one product takes at the claimed rate; default 2 s
	Share     float64       // of the claimed rate that is enough, for load and heat; default 0.75
	Slack     time.Duration // for a round trip slower than the pings; default 300 ms
	Orders    []int         // of matrices, growing; default 256 to 4,096
	Steps     int           // of a chase; default 2^18
	StepLimit time.Duration // for one step: far under what computing half a block anew takes; default 4 us
	Samples   int           // blocks and steps that are computed again, each; default 128
	Answers   time.Duration // for all answers together; default MaxTime. Checking large products comes on top, up to MaxTime
	Show      int           // bytes of one answer that are fetched, though of one device at least; default 64 MiB
	Random    io.Reader     // of nonces and choices; default crypto/rand
}

const (
	maxRTT     = 500 * time.Millisecond // the most of a ping that is allowed for: a longer one is the provider's own loss
	maxRounds  = 512                    // of one product, before a larger order is taken
	mostRounds = 1024                   // of one product of the largest order: 2 s at 34 Tera a second, and a minute to check on two cores
	firstOps   = 1 << 27                // of the first product where no rate is known
	pings      = 3
	probeShare = 4       // a product that finds out a rate takes this part of Work at least
	soonOps    = 1 << 37 // products up to this are checked at once: under a second on any core
)

func (o *Options) setDefaults() {
	setZero(&o.Work, 2*time.Second)
	setZero(&o.Share, 0.75)
	setZero(&o.Slack, 300*time.Millisecond)
	setZero(&o.Steps, 1<<18)
	setZero(&o.StepLimit, 4*time.Microsecond)
	setZero(&o.Samples, 128)
	setZero(&o.Answers, MaxTime)
	setZero(&o.Show, 64<<20)
	if len(o.Orders) == 0 {
		o.Orders = []int{256, 512, 1024, 2048, 4096}
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
}

func setZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// size is a product of about ops operations: of the smallest order that needs
// no more than maxRounds rounds, which is the least to send and check.
func (o *Options) size(ops float64) (n, rounds int) {
	for _, n = range o.Orders {
		cube := float64(n) * float64(n) * float64(n)
		if rounds = int(ops/cube + 0.5); rounds <= maxRounds {
			return n, max(rounds, 1)
		}
	}
	return n, min(rounds, mostRounds)
}

// dice draws what a provider must not be able to foresee.
type dice struct{ from io.Reader }

func (d dice) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(d.from, b)
	return b, err
}

func (d dice) word() (uint64, error) {
	b, err := d.bytes(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// below is a number under n; that n is no power of two tells in 2^-32 at most.
func (d dice) below(n int) (int, error) {
	w, err := d.word()
	return int((w >> 32) * uint64(n) >> 32), err //nolint:gosec // under n, which is under 2^31
}

// order is the numbers under n, shuffled.
func (d dice) order(n int) ([]int, error) {
	p := make([]int, n)
	for i := range p {
		j, err := d.below(i + 1)
		if err != nil {
			return nil, err
		}
		p[i] = p[j]
		p[j] = i
	}
	return p, nil
}
