package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"souk/internal/fuzztest"
	"souk/protocol/pb"
)

// kinds are all messages that there are.
func kinds() protoreflect.MessageDescriptors { return pb.File_souk_proto.Messages() }

// FuzzMessage reads any bytes as a data frame of any message.
func FuzzMessage(f *testing.F) {
	for i := range kinds().Len() {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), densest(kinds().Get(i), 4<<10)) // larger ones are tried below
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		fuzztest.Bound(t)
		if len(body) > MaxData {
			return
		}
		m := newMessage(kinds().Get(int(kind) % kinds().Len()))
		raw, there := newRaw(t)
		s := NewStream(t.Context(), raw)
		defer s.Reset()
		send(t, there, frame(body), true)
		if s.Read(m, MaxData, IdleTimeout) != nil {
			return
		}
		again, err := proto.Marshal(m)
		require.NoError(t, err, "what was read can be sent on")
		require.LessOrEqual(t, len(again), 2*len(body)+16, "and is no longer than it was, but for its lengths")
	})
}

// newMessage is one as the generated code has it.
func newMessage(d protoreflect.MessageDescriptor) proto.Message {
	if t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName()); err == nil {
		return t.New().Interface()
	}
	return dynamicpb.NewMessage(d)
}

// densest is what takes most memory for its bytes: a field of messages, again
// and again, each of them empty, or else the smallest there is.
func densest(d protoreflect.MessageDescriptor, size int) []byte {
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		if field.IsList() && field.Message() != nil || d.Fields().Len() == i+1 {
			var one []byte
			switch field.Kind() {
			case protoreflect.MessageKind, protoreflect.BytesKind, protoreflect.StringKind:
				one = protowire.AppendBytes(protowire.AppendTag(nil, field.Number(), protowire.BytesType), nil)
			default:
				one = protowire.AppendVarint(protowire.AppendTag(nil, field.Number(), protowire.VarintType), 0)
			}
			var all []byte
			for len(all)+len(one) <= size {
				all = append(all, one...)
			}
			return all
		}
	}
	return nil
}

// TestTheDensestFramesStayInMemory decodes the frames that cost most.
func TestTheDensestFramesStayInMemory(t *testing.T) {
	for i := range kinds().Len() {
		d := kinds().Get(i)
		t.Run(string(d.Name()), func(t *testing.T) {
			fuzztest.Bound(t)
			for _, size := range []int{MaxData, 2 * MaxFields, 2 * (MaxFields - 1)} {
				body := densest(d, size)
				if countFields(body, d) == nil {
					_ = proto.Unmarshal(body, newMessage(d)) // whether it is one doesn't matter here
				}
			}
		})
	}
}
