package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// recorder is a stream that keeps what is written.
type recorder struct {
	network.Stream
	written []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written = append(r.written, p...)
	return len(p), nil
}

func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

type frameVector struct {
	Name  string `json:"name"`
	Type  string `json:"type"` // in souk.proto
	Frame string `json:"frame"`
}

// frames are messages as they stand on a stream.
func frames(ctx context.Context) (any, error) {
	h := bytes.Repeat([]byte{0xab}, 32)
	sig := bytes.Repeat([]byte{0xcd}, 65)
	var all []frameVector
	for _, m := range []struct {
		name string
		m    proto.Message
	}{
		{"an empty message", &pb.RunRequest{}},
		{"a query", &pb.OfferQuery{Network: "souk", Limit: 8}},
		{"a refusal", &pb.OfferAnswer{Refusal: &pb.Refusal{Code: "busy", Sentence: "no room", Nearest: "in a minute", RetryAfterMillis: 60_000}}},
		{"an attach", &pb.RunRequest{Request: &pb.RunRequest_Attach{Attach: &pb.Attach{Lease: h, LogOffset: 1 << 33, ReceiptSeq: 7}}}},
		{"an attach that holds the process back", &pb.RunRequest{Request: &pb.RunRequest_Attach{Attach: &pb.Attach{Lease: h, Hold: true}}}},
		{"what is held back may begin", &pb.RunRequest{Request: &pb.RunRequest_Begin{Begin: &pb.Begin{}}}},
		{"a countersignature", &pb.RunRequest{Request: &pb.RunRequest_Countersign{Countersign: &pb.Countersign{
			Seq: 3, ClientSignature: sig, Voucher: &pb.Voucher{Voucher: h, Signature: sig},
		}}}},
		{"a log of 300 bytes, whose length takes two bytes", &pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Offset: 5, Data: bytes.Repeat([]byte("x"), 300)}}}},
		{"a channel's status is asked", &pb.StatusRequest{Request: &pb.StatusRequest_Channel{Channel: &pb.ChannelStatusRequest{Channel: h, BootId: h[:16]}}}},
	} {
		var r recorder
		if err := wire.NewStream(ctx, &r).Write(m.m); err != nil {
			return nil, err
		}
		all = append(all, frameVector{m.name, string(m.m.ProtoReflect().Descriptor().Name()), hex.EncodeToString(r.written)})
	}
	return all, nil
}
