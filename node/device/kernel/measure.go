package kernel

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"souk/internal/modmath"
)

const (
	maxMeasured  = 32              // rounds of one measurement
	measureTime  = 2 * time.Second // that its rounds should take
	measureSteps = 1 << 16
	samples      = 8 // blocks and steps that are computed again
)

// Measurement is what a device did, checked for being right.
type Measurement struct {
	By      string        `json:"measured_with"`                     // the device's model and what drives it
	N       int           `json:"n"`                                 // order of the matrices
	Rounds  int           `json:"rounds"`                            // products in a row
	Product time.Duration `json:"product_nanoseconds"`               // of all rounds
	Rate    float64       `json:"multiply_adds_per_second"`          // modulo 2^31−1
	Bytes   uint64        `json:"touched_bytes,omitempty"`           // filled, then read
	Fill    time.Duration `json:"fill_nanoseconds,omitempty"`        // of all bytes
	Read    float64       `json:"read_bytes_per_second,omitempty"`   // of one sweep in the better of two
	Step    time.Duration `json:"random_read_nanoseconds,omitempty"` // of one read that needs the one before
}

// WrongError is a device that computes wrongly.
type WrongError struct{ Device, What string }

func (e *WrongError) Error() string {
	return fmt.Sprintf("%s computed %s wrongly; it is faulty, overclocked too far, or its driver is", e.Device, e.What)
}

// Measure measures products of order n, and bytes of memory, whole blocks of it,
// unless that is 0. What memory shows is left out where filling fails; the error says why.
func Measure(ctx context.Context, k Kernel, n int, bytes uint64) (Measurement, error) {
	m := Measurement{By: k.Name(), N: n}
	if err := m.products(ctx, k); err != nil {
		return Measurement{}, err
	}
	if bytes == 0 {
		return m, nil
	}
	return m, m.memory(ctx, k, bytes)
}

// products takes as many rounds as fit the time, after one that warms up.
func (m *Measurement) products(ctx context.Context, k Kernel) error {
	job, err := newProduct(m.N, 1)
	if err != nil {
		return err
	}
	first, err := k.Multiply(ctx, job)
	if err != nil {
		return err
	}
	if job, err = newProduct(m.N, min(max(1, int(measureTime/max(first.Took, 1))), maxMeasured)); err != nil {
		return err
	}
	got, err := k.Multiply(ctx, job)
	if err != nil {
		return err
	}
	var secret modmath.Seed
	_, _ = rand.Read(secret[:]) // never fails
	if !job.Verify(got.C, modmath.Vector(secret, m.N)) {
		return &WrongError{k.Name(), "a product"}
	}
	m.Rounds, m.Product = job.Rounds, got.Took
	m.Rate = float64(job.Operations()) / got.Took.Seconds()
	return nil
}

func newProduct(n, rounds int) (modmath.Product, error) {
	job := modmath.Product{N: n, Rounds: rounds}
	_, _ = rand.Read(job.Seed[:]) // never fails
	return job, job.Check()
}

func (m *Measurement) memory(ctx context.Context, k Kernel, bytes uint64) (err error) {
	job := modmath.Memory{Blocks: max(1, bytes/modmath.BlockBytes)}
	_, _ = rand.Read(job.Seed[:]) // never fails
	filled, err := k.Fill(ctx, job)
	if err != nil {
		return err
	}
	defer func() {
		if released := filled.Release(); err == nil {
			err = released
		}
	}()
	var sums Sums
	best, nonce := time.Duration(0), uint64(0)
	for range 2 {
		nonce = random()
		if sums, err = filled.Sweep(ctx, nonce); err != nil {
			return err
		}
		if best == 0 || sums.Took < best {
			best = sums.Took
		}
	}
	start := random()
	trace, err := filled.Chase(ctx, nonce, start, measureSteps)
	if err != nil {
		return err
	}
	if !rightSums(job, sums.Sums, nonce) || !rightTrace(job, trace.Words, nonce, start) {
		return &WrongError{k.Name(), "what its memory holds"}
	}
	m.Bytes, m.Fill, m.Step = job.Bytes(), filled.Took(), trace.Took/measureSteps
	m.Read = float64(job.Bytes()) / best.Seconds()
	return nil
}

func rightSums(job modmath.Memory, sums []uint64, nonce uint64) bool {
	block := new(modmath.Block)
	for range samples {
		i := random() % job.Blocks
		job.Fill(block, i)
		if uint64(len(sums)) != job.Blocks || sums[i] != block.Sum(nonce) {
			return false
		}
	}
	return true
}

func rightTrace(job modmath.Memory, words []uint64, nonce, start uint64) bool {
	block := new(modmath.Block)
	for range samples {
		k := random() % uint64(len(words))
		previous := start
		if k > 0 {
			previous = words[k-1]
		}
		at, word := job.Step(nonce, k, previous)
		job.Fill(block, at)
		if words[k] != block[word] {
			return false
		}
	}
	return true
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
