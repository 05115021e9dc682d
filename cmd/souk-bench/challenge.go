package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"souk/internal/modmath"
	"souk/node/device/kernel"
	"souk/node/device/opencl"
)

// challenges are what a challenge's product takes on OpenCL, and what verifying it
// costs beside computing it anew.
func challenges() []figure {
	var all []figure
	for _, n := range []int{1024, 2048, 4096} {
		name := fmt.Sprintf("challenge-%d", n)
		all = append(all, figure{
			name:  name,
			about: fmt.Sprintf("a product of order %d on OpenCL; CPU time to verify it / to compute it anew, ≤ 5 %% from 2,048 on", n),
			run:   func(ctx context.Context, s *session) ([]result, error) { return challenge(ctx, s, name, n) },
		})
	}
	return all
}

// challenge takes one round: more of them make the verifier's share smaller.
func challenge(ctx context.Context, w io.Writer, name string, n int) (_ []result, err error) {
	k, err := openclKernel(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if _, err := k.Multiply(ctx, modmath.Product{N: 64, Rounds: 1}); err != nil { // compiles what is compiled late
		return nil, err
	}
	job := modmath.Product{N: n, Rounds: 1}
	_, _ = rand.Read(job.Seed[:]) // never fails
	answer, err := k.Multiply(ctx, job)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "  %s took %s; computing it anew on one core ...\n", k.Name(), answer.Took.Round(time.Millisecond))
	verifying, err := verify(job, answer.C)
	if err != nil {
		return nil, err
	}
	before := cpuTime()
	began := time.Now()
	again, err := job.Compute(ctx)
	if err != nil {
		return nil, err
	}
	computing, wall := cpuTime()-before, time.Since(began)
	for i, v := range again {
		if answer.C[i] != v {
			return nil, fmt.Errorf("%s computed entry %d wrongly", k.Name(), i)
		}
	}
	g := goal{}
	if n >= 2048 {
		g.most = 0.05
	}
	share := against(name+"-verify", verifying.Seconds(), "s CPU", computing.Seconds(), "s CPU to compute anew", g)
	share.Note = "one round, Go on one core; with hashing the answer"
	took := against(name+"-time", answer.Took.Seconds(), "s", wall.Seconds(), "s on one core in Go", goal{})
	took.Note = "on " + k.Name()
	return []result{took, share}, nil
}

// verify does what a verifier does with an answer: hash it, and Freivalds' check.
func verify(job modmath.Product, c []uint32) (time.Duration, error) {
	var secret modmath.Seed
	_, _ = rand.Read(secret[:]) // never fails
	before := cpuTime()
	hash := sha256.New()
	row := make([]byte, 4*job.N)
	for r := range job.N {
		for i, v := range c[r*job.N : (r+1)*job.N] {
			binary.LittleEndian.PutUint32(row[4*i:], v)
		}
		hash.Write(row)
	}
	hash.Sum(nil)
	right := job.Verify(c, modmath.Vector(secret, job.N))
	took := cpuTime() - before
	if !right {
		return 0, errors.New("the product is wrong")
	}
	return took, nil
}

// openclKernel opens the first GPU that OpenCL has, else the first device of any kind.
func openclKernel(ctx context.Context) (kernel.Kernel, error) {
	for _, source := range []opencl.Source{{}, {CPU: true}} {
		devices, err := source.Devices(ctx)
		if err != nil {
			return nil, err
		}
		if len(devices) > 0 {
			return source.Open(ctx, devices[0])
		}
	}
	return nil, &notRun{"this machine has no OpenCL device; Debian's pocl-opencl-icd makes one of the CPU"}
}
