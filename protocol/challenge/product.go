package challenge

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"time"

	"souk/internal/modmath"
	"souk/protocol/pb"
)

// product is one question for products, and when its commit came.
type product struct {
	jobs   []ProductJob
	hashes [][]byte
	ops    float64 // of each device
	took   time.Duration
	mops   uint64 // of all devices asked
}

// multiply asks devices for products of about ops operations each.
func (r *run) multiply(ctx context.Context, devices []int, ops float64) (p product, err error) {
	n, rounds := r.o.size(ops)
	nonce, err := r.dice.bytes(nonceBytes)
	if err != nil {
		return p, err
	}
	q := &pb.ChallengeProduct{Nonce: nonce, N: uint32(n), Rounds: uint32(rounds)} //nolint:gosec // both are small
	for _, d := range devices {
		q.Devices = append(q.Devices, uint32(d)) //nolint:gosec // at most MaxCount
		p.jobs = append(p.jobs, ProductJob{Device: d, Product: modmath.Product{
			Seed: r.parties.seed(productPhase, nonce, d), N: n, Rounds: rounds,
		}})
	}
	p.ops = float64(p.jobs[0].Operations())
	p.hashes, p.took, err = r.commit(ctx, &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Product{Product: q}}, len(devices))
	return p, err
}

// check is a product C that was shown, as the column C·x of a column that the
// provider never learns.
type check struct {
	job  modmath.Product
	x, y []uint32
}

// fetch brings C in, row by row; only C·x of it is kept.
func (r *run) fetch(ctx context.Context, p product) error {
	n := p.jobs[0].N
	shown, err := r.shown(len(p.jobs), 4*n*n)
	if err != nil {
		return err
	}
	for _, i := range shown {
		secret, err := r.dice.bytes(nonceBytes)
		if err != nil {
			return err
		}
		c := check{job: p.jobs[i].Product, x: modmath.Vector(modmath.Seed(secret), n)}
		row, strange := make([]uint32, n), false
		err = r.show(ctx, i, p.hashes[i], 4*n*n, 4*n, func(b []byte) {
			for k := range row {
				row[k] = binary.LittleEndian.Uint32(b[4*k:])
				strange = strange || row[k] >= modmath.P
			}
			c.y = append(c.y, modmath.Dot(row, c.x))
		})
		if err != nil {
			return err
		}
		if strange {
			return catch(WrongProduct, "its product has entries that are no residues")
		}
		r.checks = append(r.checks, c)
	}
	return nil
}

// check is Freivalds' method: C·x is compared with A·(B_1·(…·x)). A product with
// a wrong entry passes with a chance under 2^-30: that of a random residue of
// one value, of which modmath's most frequent has 3·2^-32.
func (r *run) check(ctx context.Context) error {
	for ; len(r.checks) > 0; r.checks = r.checks[1:] {
		c := r.checks[0]
		y, err := apply(ctx, c.job, c.x)
		if err != nil {
			return unfinished(ctx, err)
		}
		if !slices.Equal(y, c.y) {
			return catch(WrongProduct, "its product of order %d and %d rounds is wrong", c.job.N, c.job.Rounds)
		}
	}
	return nil
}

// apply is job.Apply on all cores.
func apply(ctx context.Context, job modmath.Product, x []uint32) ([]uint32, error) {
	for i := job.Rounds; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x = rows(job.Matrix(i), x)
	}
	return x, nil
}

const rowsAtOnce = 64 // of a matrix that one core makes and multiplies

func rows(m modmath.Matrix, x []uint32) []uint32 {
	n := len(x)
	y := make([]uint32, n)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for from := 0; from < n; from += rowsAtOnce {
		slots <- struct{}{}
		wg.Go(func() {
			row := make([]uint32, n)
			for i := from; i < min(from+rowsAtOnce, n); i++ {
				m.Entries(row, i*n)
				y[i] = modmath.Dot(row, x)
			}
			<-slots
		})
	}
	wg.Wait()
	return y
}
