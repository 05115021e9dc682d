package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// The attacks on a provider's memory, time and streams.

const (
	badFrames   = 20
	floodSize   = 2000
	floodAtOnce = 64
	halfOpen    = 1000
	atOnce      = time.Second
	// closeWithin is the longest that a provider waits for a frame's first
	// byte and then for its last.
	closeWithin = 2*wire.FrameTimeout + 5*time.Second
)

// answerOf is an empty answer of a protocol, and what finds a refusal in it.
func answerOf(id protocol.ID) (proto.Message, func() *pb.Refusal) {
	switch id {
	case wire.OfferProtocol:
		m := &pb.OfferAnswer{}
		return m, m.GetRefusal
	case wire.LeaseProtocol:
		m := &pb.LeaseAnswer{}
		return m, m.GetRefusal
	case wire.RunProtocol:
		m := &pb.RunEvent{}
		return m, m.GetRefusal
	case wire.BlobProtocol:
		m := &pb.BlobAnswer{}
		return m, m.GetRefusal
	case wire.ChallengeProtocol:
		m := &pb.ChallengeAnswer{}
		return m, m.GetRefusal
	default:
		m := &pb.StatusAnswer{}
		return m, m.GetRefusal
	}
}

// toss sends bytes on a new stream and reads the refusal. shut tells that the
// provider took no stream, or reset it.
func (g *guest) toss(ctx context.Context, id protocol.ID, frame []byte) (refusal *wire.Refusal, shut bool, err error) {
	raw, err := g.openRaw(ctx, id)
	if err != nil {
		return nil, true, nil //nolint:nilerr // that is what a blocked peer sees
	}
	s := wire.NewStream(ctx, raw)
	defer s.Reset()
	if _, err := raw.Write(frame); err != nil {
		return nil, true, nil //nolint:nilerr // the same
	}
	_ = raw.CloseWrite() // a stream that was reset meanwhile says so at the read
	answer, refused := answerOf(id)
	err = s.Read(answer, wire.MaxControl, wire.IdleTimeout)
	switch {
	case errors.Is(err, wire.ErrSlow):
		return nil, false, err
	case err != nil:
		return nil, true, nil //nolint:nilerr // closed without an answer
	case refused() == nil:
		return nil, false, nil
	}
	return wire.FromProto(refused()), false, nil
}

func malformed(ctx context.Context, t *trial) error {
	for _, id := range allProtocols() {
		if err := malformedOn(ctx, t, id); err != nil {
			return err
		}
	}
	t.probe(ctx, "after the malformed frames")
	return nil
}

// malformedOn sends bad frames on one protocol under a key of its own.
func malformedOn(ctx context.Context, t *trial, id protocol.ID) error {
	g, err := t.guest(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	frames, refused := malformedFrames(), 0
	for n := range t.many(badFrames) {
		r, shut, err := g.toss(ctx, id, frames[n%len(frames)])
		switch {
		case err != nil:
			t.broke("%s: bad frame %d was not answered: %v", id, n+1, err)
			return nil
		case shut:
			g.shutOut(ctx, t, fmt.Sprintf("%s: %d refused with %s, then the stream ended at bad frame %d", id, refused, wire.BadRequest, n+1))
			return nil
		case r == nil || r.Code != wire.BadRequest:
			t.broke("%s: bad frame %d must be refused with %s, got: %v", id, n+1, wire.BadRequest, r)
			return nil
		}
		refused++
	}
	t.broke("%s: %d bad frames were answered and the peer is not shut out", id, refused)
	return nil
}

// shutOut sees that a peer that misbehaved gets no answer any more, not even
// to an honest question.
func (g *guest) shutOut(ctx context.Context, t *trial, before string) {
	if what := g.ask(ctx, t, 0); what != notTaken {
		t.broke("%s; an honest question of the same peer after that: %s, but it must be shut out", before, what)
		return
	}
	t.say("%s and the peer is shut out", before)
}

func hugePrefix(ctx context.Context, t *trial) error {
	for _, id := range allProtocols() {
		g, err := t.guest(ctx)
		if err != nil {
			return err
		}
		for name, prefix := range hugePrefixes() {
			start := time.Now()
			r, shut, err := g.toss(ctx, id, prefix)
			switch {
			case err != nil:
				t.broke("%s: a frame of %s was not refused: %v", id, name, err)
			case !shut && (r == nil || r.Code != wire.BadRequest):
				t.broke("%s: a frame of %s must be refused with %s, got: %v", id, name, wire.BadRequest, r)
			default:
				t.say("%s: a frame of %s: refused after %s", id, name, time.Since(start).Round(time.Millisecond))
			}
		}
		g.close()
	}
	t.probe(ctx, "after the huge frames")
	return nil
}

func flood(ctx context.Context, t *trial) error {
	g, err := t.guest(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	var mu sync.Mutex
	answers := map[string]int{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, floodAtOnce)
	for n := range t.many(floodSize) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			what := g.ask(ctx, t, n)
			mu.Lock()
			defer mu.Unlock()
			answers[what]++
		})
		if n == t.many(floodSize)/2 {
			t.probe(ctx, "in the middle of the flood")
		}
	}
	wg.Wait()
	for what, n := range answers {
		t.say("%d streams: %s", n, what)
	}
	t.probe(ctx, "after the flood")
	return nil
}

// notTaken names a question that was not answered at all.
const notTaken = "not taken, or reset"

// ask puts the n-th question, a well-formed one, and names the answer.
func (g *guest) ask(ctx context.Context, t *trial, n int) string {
	id, question := wire.OfferProtocol, proto.Message(&pb.OfferQuery{Network: t.network, Limit: 1})
	if n%2 == 1 {
		id, question = wire.StatusProtocol, &pb.StatusRequest{Request: &pb.StatusRequest_Channel{
			Channel: &pb.ChannelStatusRequest{Channel: make([]byte, 32), BootId: g.boot[:]},
		}}
	}
	body, err := proto.Marshal(question)
	if err != nil {
		return err.Error()
	}
	r, shut, err := g.toss(ctx, id, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
	switch {
	case err != nil:
		t.broke("%s: a stream of the flood was neither answered nor ended", id)
		return "not answered"
	case shut:
		return notTaken
	case r == nil:
		return "answered"
	}
	return "refused with " + string(r.Code)
}

func slowloris(ctx context.Context, t *trial) error {
	g, err := t.guest(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	var held []network.Stream
	for n := range t.many(halfOpen) {
		s, err := g.openRaw(ctx, allProtocols()[n%len(allProtocols())])
		if err != nil {
			continue // no more slots for this peer: as it should be
		}
		defer func() { _ = s.Reset() }()
		if _, err := s.Write([]byte{100}); err == nil { // a frame of 100 bytes begins
			held = append(held, s)
		}
	}
	t.say("%d of %d streams could be opened and are half open", len(held), t.many(halfOpen))
	t.probe(ctx, "beside the half-open streams")
	t.allEnd(held)
	t.probe(ctx, "after the half-open streams")
	return nil
}

// allEnd sees that the provider ends every stream in time.
func (t *trial) allEnd(held []network.Stream) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	left, refused := 0, 0
	for _, s := range held {
		wg.Go(func() {
			took, ok := ended(s, closeWithin)
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, took)
			if !ok {
				left++
			} else if took < atOnce {
				refused++ // opening a stream doesn't wait for the provider to take it
			}
		})
	}
	wg.Wait()
	if left > 0 {
		t.broke("%d half-open streams were still open after %s", left, closeWithin)
		return
	}
	t.say("all of them were ended, %d at once and the last one after %s", refused, longest.Round(time.Millisecond))
}
