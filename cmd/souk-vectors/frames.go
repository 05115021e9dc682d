package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

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
	// Message is what the frame says, as protobuf's JSON mapping has it.
	Message any `json:"message"`
}

type named struct {
	name string
	m    proto.Message
}

// frames are messages as they stand on a stream: some that show how lengths are
// written, and then each message with all its fields.
func frames(ctx context.Context) (any, error) {
	full, err := whole()
	if err != nil {
		return nil, err
	}
	var all []frameVector
	for _, n := range append(lengths(), full...) {
		var r recorder
		if err := wire.NewStream(ctx, &r).Write(n.m); err != nil {
			return nil, err
		}
		text, err := protojson.Marshal(n.m)
		if err != nil {
			return nil, err
		}
		v := frameVector{Name: n.name, Type: string(n.m.ProtoReflect().Descriptor().Name()), Frame: hex.EncodeToString(r.written)}
		if err := json.Unmarshal(text, &v.Message); err != nil { // protojson's spaces differ from one run to the next
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func lengths() []named {
	h := bytes.Repeat([]byte{0xab}, 32)
	return []named{
		{"an empty message", &pb.RunRequest{}},
		{"a query", &pb.OfferQuery{Network: "souk", Limit: 8}},
		{"a refusal", &pb.OfferAnswer{Refusal: &pb.Refusal{Code: "busy", Sentence: "no room", Nearest: "in a minute", RetryAfterMillis: 60_000}}},
		{"an attach", &pb.RunRequest{Request: &pb.RunRequest_Attach{Attach: &pb.Attach{Lease: h, LogOffset: 1 << 33, ReceiptSeq: 7}}}},
		{"a log of 300 bytes, whose length takes two bytes", &pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Offset: 5, Data: bytes.Repeat([]byte("x"), 300)}}}},
	}
}

// whole are the messages that are in no other one, once for each thing that they can
// be, with a value of its own in each field.
func whole() (all []named, err error) {
	messages := pb.File_souk_proto.Messages()
	inner := map[protoreflect.FullName]bool{}
	for i := range messages.Len() {
		fields := messages.Get(i).Fields()
		for j := range fields.Len() {
			if m := fields.Get(j).Message(); m != nil {
				inner[m.FullName()] = true
			}
		}
	}
	for i := range messages.Len() {
		d := messages.Get(i)
		if inner[d.FullName()] {
			continue
		}
		t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		if err != nil {
			return nil, err
		}
		if d.Oneofs().Len() == 0 {
			all = append(all, filled(t, nil))
			continue
		}
		for cases, j := d.Oneofs().Get(0).Fields(), 0; j < cases.Len(); j++ {
			all = append(all, filled(t, cases.Get(j)))
		}
	}
	return all, nil
}

// filled is a message with all its fields, of a oneof that one.
func filled(t protoreflect.MessageType, one protoreflect.FieldDescriptor) named {
	m, name := t.New(), "a whole "+string(t.Descriptor().Name())
	if one != nil {
		name += " with " + string(one.Name())
	}
	var values counter
	values.fill(m, one)
	return named{name, m.Interface()}
}

// counter gives values of which no two are the same.
type counter uint32

func (c *counter) fill(m protoreflect.Message, one protoreflect.FieldDescriptor) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.ContainingOneof() != nil && f != one:
		case f.IsList():
			for range 2 {
				m.Mutable(f).List().Append(c.value(f, m.Mutable(f).List().NewElement))
			}
		default:
			m.Set(f, c.value(f, func() protoreflect.Value { return m.NewField(f) }))
		}
	}
}

func (c *counter) value(f protoreflect.FieldDescriptor, empty func() protoreflect.Value) protoreflect.Value {
	*c++
	switch f.Kind() {
	case protoreflect.MessageKind:
		v := empty()
		c.fill(v.Message(), nil)
		return v
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(bytes.Repeat([]byte{byte(*c)}, 3)) //nolint:gosec // below 256
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("text %d", *c))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1000 + uint32(*c))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1<<40 + uint64(*c))
	default:
		panic("no value for a field of kind " + f.Kind().String())
	}
}
