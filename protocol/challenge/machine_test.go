package challenge_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/internal/modmath"
	"souk/protocol/challenge"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// machine answers with right numbers and takes the time that a model says, in
// the fake time of a synctest bubble. What it lies about is in its fields.
type machine struct {
	dice    *rand.Rand
	rate    float64 // operations per second of one device that is there
	there   int     // devices that are there
	load    float64 // the longest answer, as a multiple of the shortest
	step    time.Duration
	anew    time.Duration // to compute the words of a block up to one that a chase reads
	fills   time.Duration // to fill a block
	reads   time.Duration // to read a block
	holds   float64       // part of the blocks that is kept
	pretend bool          // says that it is simulated
	refuses uint64        // blocks over which it can't fill after all; 0: none

	lazy   bool                    // throttles one device that is asked alone
	guess  bool                    // makes up what it hasn't kept
	answer func([]uint32) []uint32 // what becomes of a product

	over chan struct{} // closed when the devices are somebody else's; nil: never

	mu            sync.Mutex
	began, closed int
	keeps         int
	claimed       uint64
}

func honest(dice *rand.Rand, devices int) *machine {
	return &machine{
		dice: dice, rate: 1e6, there: devices, load: 1.25, step: 8 * time.Microsecond, anew: 160 * time.Microsecond,
		fills: 40 * time.Millisecond, reads: time.Millisecond, holds: 1, answer: func(c []uint32) []uint32 { return c },
	}
}

func (m *machine) Begin(_ context.Context, _ peer.ID, s challenge.Start) (challenge.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began++
	m.claimed = s.Blocks
	return &session{machine: m}, nil
}

func (m *machine) Keep(context.Context, peer.ID, *pb.Measurement) error {
	m.keeps++
	return nil
}

// works takes the time d, and more where something else runs too.
func (m *machine) works(d time.Duration) {
	<-time.After(time.Duration(float64(d) * (1 + m.dice.Float64()*(m.load-1))))
}

type session struct {
	*machine
	jobs   []modmath.Memory
	blocks [][]modmath.Block
}

func (s *session) Ready() challenge.Ready {
	return challenge.Ready{Blocks: s.claimed, Simulated: s.pretend}
}

func (s *session) Multiply(ctx context.Context, jobs []challenge.ProductJob) ([][]uint32, error) {
	out := make([][]uint32, len(jobs))
	for i, j := range jobs {
		c, err := j.Compute(ctx)
		if err != nil {
			return nil, err
		}
		out[i] = s.answer(c)
	}
	turns := (len(jobs) + s.there - 1) / s.there
	if s.lazy && len(jobs) == 1 {
		turns *= 2
	}
	s.works(time.Duration(float64(jobs[0].Operations()) / s.rate * float64(turns) * float64(time.Second)))
	return out, nil
}

func (s *session) Fill(_ context.Context, jobs []modmath.Memory) error {
	s.jobs = jobs
	if s.refuses > 0 && jobs[0].Blocks > s.refuses {
		return wire.Refuse(wire.NoMatch, "no memory for %d blocks", jobs[0].Blocks)
	}
	for _, j := range jobs {
		blocks := make([]modmath.Block, j.Blocks)
		for b := range blocks {
			j.Fill(&blocks[b], uint64(b)) //nolint:gosec // not negative
		}
		s.blocks = append(s.blocks, blocks)
	}
	s.works(time.Duration(jobs[0].Blocks) * s.fills) //nolint:gosec // small
	return nil
}

func (s *session) Sweep(_ context.Context, nonce uint64, passes int) ([][]uint64, error) {
	out := make([][]uint64, len(s.jobs))
	for d, j := range s.jobs {
		for b := range j.Blocks {
			sum := uint64(0)
			if s.guess && float64(b) >= s.holds*float64(j.Blocks) {
				sum = s.dice.Uint64()
			} else {
				for p := range passes {
					sum += s.blocks[d][b].Sum(nonce + uint64(p)) //nolint:gosec // small
				}
			}
			out[d] = append(out[d], sum)
		}
	}
	each := s.reads
	if !s.guess {
		each += time.Duration((1 - s.holds) * float64(s.fills))
	}
	s.works(time.Duration(passes) * time.Duration(s.jobs[0].Blocks) * each) //nolint:gosec // small
	return out, nil
}

func (s *session) Chase(_ context.Context, nonce, start uint64, steps int) ([][]uint64, error) {
	out := make([][]uint64, len(s.jobs))
	for d, j := range s.jobs {
		v := start
		for k := range steps {
			b, w := j.Step(nonce, uint64(k), v) //nolint:gosec // not negative
			if v = s.blocks[d][b][w]; s.guess && float64(b) >= s.holds*float64(j.Blocks) {
				v = s.dice.Uint64()
			}
			out[d] = append(out[d], v)
		}
	}
	each := s.step
	if !s.guess {
		each += time.Duration((1 - s.holds) * float64(s.anew))
	}
	s.works(time.Duration(steps) * each)
	return out, nil
}

func (s *session) Over() <-chan struct{} { return s.over }

func (s *session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

// far is a network that takes up to 300 ms there and back, anew each time.
type far struct {
	challenge.Conn
	dice *rand.Rand
}

func (f far) wait() { <-time.After(time.Duration(f.dice.Int64N(int64(150 * time.Millisecond)))) }

func (f far) Write(m proto.Message) error {
	f.wait()
	return f.Conn.Write(m)
}

func (f far) Read(m proto.Message, limit int, idle time.Duration) error {
	err := f.Conn.Read(m, limit, idle)
	f.wait()
	return err
}
