package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// The ways to cheat by what is said on a stream, or not said.

func vanish() cheat {
	return cheat{
		name: "vanish", does: "runs one tick and is gone",
		ticks: 3,
		boundary: func(l *rented, n int) bool {
			if n < 2 {
				return false
			}
			l.say("gone for good, after one tick")
			l.shop.vanish()
			return true
		},
	}
}

func busy() cheat {
	return cheat{
		name: "busy", does: "quotes, and says to every accept that another client was first",
		refuse: func() error { return wire.Refuse(wire.Taken, "another client accepted first") },
	}
}

func silent() cheat {
	return cheat{
		name: "silent", does: "accepts, and never says a word when the client attaches",
		converse: func(_ context.Context, l *rented, _ run.Attach, s *wire.Stream, _ network.Stream) error {
			l.say("the client attached; saying nothing")
			for {
				var m pb.RunRequest
				if err := s.Read(&m, wire.MaxControl, time.Hour); err != nil {
					return err
				}
			}
		},
	}
}

func garbage() cheat {
	return cheat{
		name: "garbage", does: "sends frames that are no messages",
		converse: func(_ context.Context, l *rented, _ run.Attach, _ *wire.Stream, raw network.Stream) error {
			l.say("the client attached; sending frames that are no messages")
			if err := raw.SetWriteDeadline(time.Now().Add(wire.FrameTimeout)); err != nil {
				return err
			}
			for _, frame := range malformedFrames() {
				if _, err := raw.Write(frame); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// malformedFrames are bytes that no correct peer sends on any protocol. Each
// is malformed by itself; the last one ends early.
func malformedFrames() [][]byte {
	return [][]byte{
		{3, 0xff, 0xff, 0xff},                      // no protobuf
		binary.AppendUvarint(nil, 1<<20+1),         // over every cap
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // a length without an end
		{100, 1, 2, 3},                             // cut short
	}
}

const slowEvery = time.Second

func slow() cheat {
	return cheat{
		name: "slow", does: "sends one byte a second",
		converse: func(ctx context.Context, l *rented, _ run.Attach, _ *wire.Stream, raw network.Stream) error {
			l.say("the client attached; sending it one byte a second")
			body, err := proto.Marshal(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Data: make([]byte, 1000)}}})
			if err != nil {
				return err
			}
			return drip(ctx, raw, append(binary.AppendUvarint(nil, uint64(len(body))), body...), slowEvery)
		},
	}
}

// drip writes one byte at a time until ctx or the peer ends it.
func drip(ctx context.Context, raw network.Stream, data []byte, every time.Duration) error {
	for i := range data {
		if _, err := raw.Write(data[i : i+1]); err != nil {
			return err
		}
		if !wait(ctx, every) {
			return ctx.Err()
		}
	}
	return errors.New("all of it was taken, slow as it was")
}

// hugePrefixes are lengths that nobody may allocate.
func hugePrefixes() map[string][]byte {
	return map[string][]byte{
		"2^63-1": binary.AppendUvarint(nil, math.MaxInt64),
		"1 GB":   binary.AppendUvarint(nil, 1_000_000_000),
	}
}
