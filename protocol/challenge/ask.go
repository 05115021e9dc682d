package challenge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// ErrUnfinished is a challenge that the provider broke off, or left unanswered.
// It accuses nobody.
var ErrUnfinished = errors.New("the challenge was not finished")

// Ask challenges a peer, which takes seconds to a minute of its devices' time.
// A refusal is a *wire.Refusal; what else isn't a verdict is ErrUnfinished or ctx's.
func Ask(ctx context.Context, h host.Host, network string, p peer.ID, c Claim, o Options) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	o.setDefaults()
	asking, end := context.WithTimeout(ctx, o.Answers)
	defer end() // the stream's end: the provider gives the devices back at once
	s, err := wire.Open(asking, h, p, wire.ChallengeProtocol)
	if err != nil {
		return Verdict{}, err
	}
	defer s.Reset()
	return Run(ctx, s, Parties{Network: network, Provider: p, Client: h.ID()}, c, o)
}

// Give hands a measurement back to the provider that it is about.
func Give(ctx context.Context, h host.Host, p peer.ID, m *pb.Measurement) error {
	var a pb.ChallengeAnswer
	q := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Keep{Keep: m}}
	if err := wire.Ask(ctx, h, p, wire.ChallengeProtocol, q, &a, controlLimit); err != nil {
		return err
	}
	if r := a.GetRefusal(); r != nil {
		return wire.FromProto(r)
	}
	if a.GetKept() == nil {
		return wire.Malformed("neither a refusal nor that it was kept")
	}
	return nil
}

// ask puts one question and measures until its answer, which an answer is that
// begins within wait.
func (r *run) ask(ctx context.Context, q *pb.ChallengeRequest, wait time.Duration) (*pb.ChallengeAnswer, time.Duration, error) {
	began := time.Now()
	if err := r.conn.Write(q); err != nil {
		// A provider that refuses may have ended its side before it read this.
		if a, late := r.read(ctx, wire.FrameTimeout); late == nil || isRefusal(late) {
			return a, time.Since(began), late
		}
		return nil, 0, unfinished(ctx, err)
	}
	a, err := r.read(ctx, wait)
	return a, time.Since(began), err
}

func (r *run) read(ctx context.Context, wait time.Duration) (*pb.ChallengeAnswer, error) {
	var a pb.ChallengeAnswer
	if err := r.conn.Read(&a, wire.MaxData, wait); err != nil {
		if errors.Is(err, wire.ErrMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, catch(BadAnswer, "it sent what can't be read")
		}
		return nil, unfinished(ctx, err)
	}
	if p := a.GetRefusal(); p != nil {
		return nil, wire.FromProto(p)
	}
	return &a, nil
}

func isRefusal(err error) bool {
	var refusal *wire.Refusal
	return errors.As(err, &refusal)
}

func unfinished(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return fmt.Errorf("%w: %w", ErrUnfinished, end)
	}
	return fmt.Errorf("%w: %w", ErrUnfinished, err)
}

// commit puts a question whose answer is hashes of that many results.
func (r *run) commit(ctx context.Context, q *pb.ChallengeRequest, results int) ([][]byte, time.Duration, error) {
	a, took, err := r.ask(ctx, q, MaxWork+wire.FrameTimeout)
	if err != nil {
		return nil, 0, err
	}
	hashes := a.GetCommit().GetHashes()
	if a.GetCommit() == nil || len(hashes) != results {
		return nil, 0, catch(BadAnswer, "it committed to %d results, %d were asked for", len(hashes), results)
	}
	for _, h := range hashes {
		if len(h) != 32 {
			return nil, 0, catch(BadAnswer, "it committed to a result by %d bytes, a hash has 32", len(h))
		}
	}
	return hashes, took, nil
}

// show fetches the result that a hash is of: size bytes, in entries of width.
func (r *run) show(ctx context.Context, index int, hash []byte, size, width int, use func([]byte)) error {
	q := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Show{Show: &pb.ChallengeShow{Index: uint32(index)}}} //nolint:gosec // at most MaxCount
	a, _, err := r.ask(ctx, q, wire.IdleTimeout)
	in := newReader(hash, size)
	for {
		if err != nil {
			return err
		}
		data := a.GetData().GetData()
		if len(data) == 0 || len(data) > in.left {
			return catch(BadAnswer, "it sent %d bytes of a result of which %d were missing", len(data), in.left)
		}
		in.take(data, width, use)
		if in.left == 0 {
			break
		}
		if ctx.Err() != nil {
			return unfinished(ctx, ctx.Err())
		}
		a, err = r.read(ctx, wire.IdleTimeout)
	}
	if !in.matches() {
		return catch(CommitMismatch, "what it showed isn't what it had committed to")
	}
	return nil
}

// shown are the results that are fetched of several, chosen at random as far
// as Options.Show goes.
func (r *run) shown(results, size int) ([]int, error) {
	order, err := r.dice.order(results)
	if err != nil {
		return nil, err
	}
	return order[:min(results, max(1, r.o.Show/max(size, 1)))], nil
}
