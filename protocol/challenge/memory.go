package challenge

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"souk/internal/modmath"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// memory fills what the provider is ready to fill of all devices at once,
// sweeps it and walks through it.
func (r *run) memory(ctx context.Context) error {
	if r.ready.Blocks == 0 {
		return nil
	}
	jobs, filling, err := r.fill(ctx)
	if err != nil {
		return err
	}
	if err := r.sweeps(ctx, jobs, filling); err != nil {
		return err
	}
	if err := r.chase(ctx, jobs); err != nil {
		return err
	}
	r.v.Touched = r.ready.Blocks * BlockBytes * uint64(r.claim.Count) //nolint:gosec // at least 1
	return nil
}

func (r *run) fill(ctx context.Context) (jobs []modmath.Memory, took time.Duration, err error) {
	nonce, err := r.dice.bytes(nonceBytes)
	if err != nil {
		return nil, 0, err
	}
	for i := range r.claim.Count {
		jobs = append(jobs, modmath.Memory{Seed: r.parties.seed(memoryPhase, nonce, i), Blocks: r.ready.Blocks})
	}
	q := &pb.ChallengeFill{Nonce: nonce, Blocks: r.ready.Blocks}
	_, took, err = r.commit(ctx, &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Fill{Fill: q}}, 0)
	var refusal *wire.Refusal
	if errors.As(err, &refusal) && refusal.Code == wire.NoMatch {
		return nil, 0, catch(LessMemory, "it was ready to fill %d MiB of each device and then could not: %s", r.ready.Blocks*BlockBytes>>20, refusal.Error())
	}
	return jobs, took, err
}

// sweeps reads memory once and, where that is too short to tell a rate from a
// round trip, some more times in one go.
func (r *run) sweeps(ctx context.Context, jobs []modmath.Memory, filling time.Duration) error {
	took, err := r.sweep(ctx, jobs, 1, filling)
	if err != nil {
		return err
	}
	passes := 1
	if want := r.o.Work / 8; r.computing(took) < want {
		passes = int(min(want/r.computing(took), MaxPasses))
	}
	if passes > 1 {
		if took, err = r.sweep(ctx, jobs, passes, filling); err != nil {
			return err
		}
	}
	bytes := float64(passes) * float64(r.ready.Blocks) * BlockBytes * float64(r.claim.Count)
	r.v.MBps = uint64(bytes / r.computing(took).Seconds() / 1e6)
	return nil
}

// sweep is judged by the claimed bandwidth, and else by what filling took:
// whoever keeps little of the blocks fills them again.
func (r *run) sweep(ctx context.Context, jobs []modmath.Memory, passes int, filling time.Duration) (time.Duration, error) {
	nonce, err := r.dice.word()
	if err != nil {
		return 0, err
	}
	q := &pb.ChallengeSweep{Nonce: nonce, Passes: uint32(passes)} //nolint:gosec // at most MaxPasses
	hashes, took, err := r.commit(ctx, &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Sweep{Sweep: q}}, len(jobs))
	if err != nil {
		return 0, err
	}
	want := filling * time.Duration(passes)
	if r.claim.MBps > 0 {
		bytes := float64(passes) * float64(r.ready.Blocks) * BlockBytes
		want = r.longest(time.Duration(bytes / float64(r.claim.MBps) * 1e3))
	}
	if limit := want + r.o.Slack + r.rtt; r.late(took, limit) {
		return 0, catch(SlowMemory, "reading %d MiB of each of %d devices %d times took %s; at most %s was allowed",
			r.ready.Blocks*BlockBytes>>20, len(jobs), passes, took.Round(time.Millisecond), limit.Round(time.Millisecond))
	}
	return took, r.words(ctx, hashes, int(r.ready.Blocks), func(device int, sums []uint64) error { //nolint:gosec // at most MaxBlocks
		return r.checkSums(jobs[device], sums, nonce, passes)
	})
}

// chase is judged by an absolute time for each step.
func (r *run) chase(ctx context.Context, jobs []modmath.Memory) error {
	nonce, err := r.dice.word()
	if err != nil {
		return err
	}
	start, err := r.dice.word()
	if err != nil {
		return err
	}
	q := &pb.ChallengeChase{Nonce: nonce, Start: start, Steps: uint32(r.o.Steps)} //nolint:gosec // at most modmath.MaxSteps
	hashes, took, err := r.commit(ctx, &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Chase{Chase: q}}, len(jobs))
	if err != nil {
		return err
	}
	if limit := time.Duration(r.o.Steps)*r.o.StepLimit + r.o.Slack + r.rtt; r.late(took, limit) {
		return catch(SlowMemory, "%d reads one after the other took %s, at most %s was allowed: not all of its memory is there",
			r.o.Steps, took.Round(time.Millisecond), limit.Round(time.Millisecond))
	}
	r.v.StepNanos = uint64(r.computing(took).Nanoseconds() / int64(r.o.Steps)) //nolint:gosec // above 0
	return r.words(ctx, hashes, r.o.Steps, func(device int, trace []uint64) error {
		return r.checkTrace(jobs[device], trace, nonce, start)
	})
}

// words fetches results of count words each and hands them to see.
func (r *run) words(ctx context.Context, hashes [][]byte, count int, see func(int, []uint64) error) error {
	shown, err := r.shown(len(hashes), 8*count)
	if err != nil {
		return err
	}
	for _, i := range shown {
		got := make([]uint64, 0, min(count, frameBytes/8))
		err := r.show(ctx, i, hashes[i], 8*count, 8, func(b []byte) { got = append(got, binary.LittleEndian.Uint64(b)) })
		if err != nil {
			return err
		}
		if err := see(i, got); err != nil {
			return err
		}
	}
	return nil
}

// checkSums computes random blocks again.
func (r *run) checkSums(job modmath.Memory, sums []uint64, nonce uint64, passes int) error {
	block := new(modmath.Block)
	for range r.o.Samples {
		i, err := r.dice.below(len(sums))
		if err != nil {
			return err
		}
		job.Fill(block, uint64(i)) //nolint:gosec // not negative
		want := uint64(0)
		for p := range passes {
			want += block.Sum(nonce + uint64(p)) //nolint:gosec // small
		}
		if sums[i] != want {
			return catch(WrongMemory, "the sum of block %d isn't that of what was to be filled in", i)
		}
	}
	return nil
}

// checkTrace computes random steps again, the last one always.
func (r *run) checkTrace(job modmath.Memory, trace []uint64, nonce, start uint64) error {
	block := new(modmath.Block)
	k := len(trace) - 1
	for range r.o.Samples {
		previous := start
		if k > 0 {
			previous = trace[k-1]
		}
		at, word := job.Step(nonce, uint64(k), previous) //nolint:gosec // not negative
		job.Fill(block, at)
		if block[word] != trace[k] {
			return catch(WrongMemory, "step %d of its walk through memory isn't right", k)
		}
		var err error
		if k, err = r.dice.below(len(trace)); err != nil {
			return err
		}
	}
	return nil
}
