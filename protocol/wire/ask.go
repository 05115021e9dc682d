package wire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"
)

// Relayed tells whether a protocol may run over a limited relay connection.
func Relayed(id protocol.ID) bool {
	return id == OfferProtocol || id == LeaseProtocol || id == StatusProtocol
}

// Open opens a stream to p. Cancelling ctx resets the stream, also after Open
// returned.
func Open(ctx context.Context, h host.Host, p peer.ID, id protocol.ID) (*Stream, error) {
	dial, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	if Relayed(id) {
		dial = network.WithAllowLimitedConn(dial, string(id))
	}
	raw, err := h.NewStream(dial, p, id)
	if err != nil {
		return nil, fmt.Errorf("open %s to %s: %w", id, p.ShortString(), orEnd(ctx, err))
	}
	if err := raw.Scope().SetService(string(id)); err != nil {
		_ = raw.Reset()
		return nil, fmt.Errorf("open %s to %s: %w", id, p.ShortString(), err)
	}
	return NewStream(ctx, raw), nil
}

// Ask opens a stream, sends one question, reads one answer of at most limit
// bytes and ends the stream. Where ctx or AskTimeout ended it, the error is
// the context's. Where there are as many streams as there may be, on either
// side, it is a RateLimited refusal: the question wasn't read, and may be
// asked again. Where the stream is reset without a word it is asked once more,
// so only questions may be asked that are answered in the same way twice.
func Ask(ctx context.Context, h host.Host, p peer.ID, id protocol.ID, question, answer proto.Message, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, AskTimeout)
	defer cancel()
	err := askOnce(ctx, h, p, id, question, answer, limit)
	if errors.Is(err, dropped) && Pause(ctx, dropPause+rand.N(dropPause)) {
		err = askOnce(ctx, h, p, id, question, answer, limit)
	}
	return crowded(err)
}

func askOnce(ctx context.Context, h host.Host, p peer.ID, id protocol.ID, question, answer proto.Message, limit int) error {
	s, err := Open(ctx, h, p, id)
	if err != nil {
		return err
	}
	if err := ask(s, question, answer, limit, until(ctx)); err != nil {
		s.Reset()
		return fmt.Errorf("ask %s of %s: %w", id, p.ShortString(), orEnd(ctx, err))
	}
	_ = s.Close() // the answer is here; a peer that refused unread may have closed the other way before
	return nil
}

// dropped is a stream that its peer reset without saying why. Of hundreds that are
// opened within a few milliseconds yamux drops those that it has no room for until
// the others are taken.
var dropped = &network.StreamError{ErrorCode: network.StreamNoError, Remote: true}

// dropPause is how long it is given for that, at least; not all questions come back at once.
const dropPause = 100 * time.Millisecond

// Pause waits for d before something is asked again. It is false if ctx ended before.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// noSlot is a stream that its peer has no room for.
var noSlot = &network.StreamError{ErrorCode: network.StreamResourceLimitExceeded, Remote: true}

// crowded makes a refusal of an error that says that there are too many streams.
func crowded(err error) error {
	if !errors.Is(err, network.ErrResourceLimitExceeded) && !errors.Is(err, noSlot) {
		return err
	}
	return fmt.Errorf("%w: %w", Refuse(RateLimited, "too many streams at once").After(time.Second), err)
}

// orEnd adds to an error that ctx had ended: that is then why it failed.
func orEnd(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}

func ask(s *Stream, question, answer proto.Message, limit int, wait time.Duration) error {
	asked := s.Write(question)
	if asked == nil {
		asked = s.CloseWrite()
	}
	// A peer may refuse before it has read the question, and take no more of it.
	err := s.Read(answer, limit, wait)
	if err != nil && asked != nil { // of a stream that was reset only reading says why
		return fmt.Errorf("%w (%w)", asked, err)
	}
	return err
}

func until(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return time.Until(d)
	}
	return AskTimeout
}
