package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// countFields refuses a message of more than MaxFields fields, those of the
// messages in it counted too: two bytes on the wire can become hundreds in
// memory. What else is wrong with the bytes is for the decoder to say.
func countFields(body []byte, d protoreflect.MessageDescriptor) error {
	if fields(body, d, MaxFields) < 0 {
		return Malformed("%s: more than %d fields", d.Name(), MaxFields)
	}
	return nil
}

// fields takes a message's fields off left, and gives what remains; below 0
// it stops. Messages that souk knows don't nest in themselves, so it doesn't
// go deep.
func fields(body []byte, d protoreflect.MessageDescriptor, left int) int {
	for len(body) > 0 && left >= 0 {
		number, kind, n := protowire.ConsumeTag(body)
		if n < 0 {
			return left
		}
		left--
		body = body[n:]
		size := protowire.ConsumeFieldValue(number, kind, body)
		if size < 0 {
			return left
		}
		if f := d.Fields().ByNumber(number); f != nil && f.Message() != nil && kind == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(body)
			left = fields(inner, f.Message(), left)
		}
		body = body[size:]
	}
	return left
}

// Only gives the message that a frame consists of if that is one field, of
// that number; a view of body for who decodes it without copies. false: it is
// anything else, which Decode knows.
func Only(body []byte, number protowire.Number) (inner []byte, ok bool) {
	n, kind, tag := protowire.ConsumeTag(body)
	if tag < 0 || n != number || kind != protowire.BytesType {
		return nil, false
	}
	inner, size := protowire.ConsumeBytes(body[tag:])
	return inner, size >= 0 && tag+size == len(body)
}
