package modmath

import (
	"context"
	"fmt"
)

// Bounds of a product job. MaxN is 1 GiB for each matrix.
const (
	MaxN      = 16384
	MaxRounds = 4096
)

// Product is the job of computing C = A·B_1·B_2·…·B_Rounds modulo P, where A is
// matrix 0 of Seed and B_i matrix i, all of order N.
type Product struct {
	Seed   Seed
	N      int // 1 to MaxN
	Rounds int // 1 to MaxRounds
}

// Check says what is wrong with the job's size.
func (p Product) Check() error {
	switch {
	case p.N < 1 || p.N > MaxN:
		return fmt.Errorf("a matrix of order %d can't be asked for; its order is 1 to %d", p.N, MaxN)
	case p.Rounds < 1 || p.Rounds > MaxRounds:
		return fmt.Errorf("a product of %d matrices can't be asked for; the rounds are 1 to %d", p.Rounds, MaxRounds)
	}
	return nil
}

// Operations is how many multiplications with addition the schoolbook product takes: n³ a round.
func (p Product) Operations() uint64 {
	n := uint64(p.N)
	return n * n * n * uint64(p.Rounds)
}

// Matrix returns A for i = 0 and else B_i.
func (p Product) Matrix(i int) Matrix { return NewMatrix(p.Seed, uint32(i), p.N) }

// Apply returns C·x without computing C: A·(B_1·(…(B_Rounds·x))), in (Rounds+1)·n² steps.
func (p Product) Apply(x []uint32) []uint32 {
	for i := p.Rounds; i >= 0; i-- {
		x = p.Matrix(i).Apply(x)
	}
	return x
}

// Verify is Freivalds' check: whether c·x is what Apply(x) gives. For a wrong c
// and a column x of n residues that c's maker couldn't know, it errs with a chance of at most
// 1/P < 2^−30. It is false, too, for a c that isn't n² residues.
func (p Product) Verify(c, x []uint32) bool {
	if len(c) != p.N*p.N || len(x) != p.N {
		return false
	}
	want := p.Apply(x)
	for r := range want {
		row := c[r*p.N : (r+1)*p.N]
		if !residues(row) || Dot(row, x) != want[r] {
			return false
		}
	}
	return true
}

func residues(row []uint32) bool {
	for _, v := range row {
		if v >= P {
			return false
		}
	}
	return true
}

// Compute returns C, the slow way: Operations steps on one core, about 12·n² bytes.
// It ends early with ctx's error.
func (p Product) Compute(ctx context.Context) ([]uint32, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	left, right := make([]uint32, p.N*p.N), make([]uint32, p.N*p.N)
	next := make([]uint32, p.N*p.N)
	p.Matrix(0).Entries(left, 0)
	for i := 1; i <= p.Rounds; i++ {
		p.Matrix(i).Entries(right, 0)
		if err := Multiply(ctx, next, left, right, p.N); err != nil {
			return nil, err
		}
		left, next = next, left
	}
	return left, nil
}

// Multiply writes left·right to c; all are matrices of order n, and c is neither of the others.
func Multiply(ctx context.Context, c, left, right []uint32, n int) error {
	sums := make([]uint64, n)
	for r := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(sums)
		row := left[r*n : (r+1)*n]
		k := 0
		for ; k+4 <= n; k += 4 {
			addFour(sums, row[k:k+4], right[k*n:(k+4)*n])
		}
		for ; k < n; k++ {
			for j, b := range right[k*n : (k+1)*n] {
				sums[j] = fold(sums[j]) + uint64(row[k])*uint64(b)
			}
		}
		for j, sum := range sums {
			c[r*n+j] = Reduce(sum)
		}
	}
	return nil
}

// addFour adds four rows of the right matrix, each times one entry of the left
// one: with a folded sum they stay under 2^64.
func addFour(sums []uint64, by, rows []uint32) {
	n := len(sums)
	a0, a1, a2, a3 := uint64(by[0]), uint64(by[1]), uint64(by[2]), uint64(by[3])
	b0, b1, b2, b3 := rows[:n], rows[n:2*n], rows[2*n:3*n], rows[3*n:4*n]
	for j := range sums {
		sums[j] = fold(sums[j]) + a0*uint64(b0[j]) + a1*uint64(b1[j]) + a2*uint64(b2[j]) + a3*uint64(b3[j])
	}
}
