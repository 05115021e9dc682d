package run

import (
	"google.golang.org/protobuf/encoding/protowire"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// The fields of a Log, and of a RunEvent that is one.
const (
	eventLog  protowire.Number = 2
	logOffset protowire.Number = 1
	logData   protowire.Number = 2
)

// decode reads an event. A log, which most bytes of a conversation are, takes
// no memory of its own.
func (c *Session) decode(body []byte, e *pb.RunEvent) error {
	l, ok := asLog(body)
	if !ok {
		return wire.Decode(body, e)
	}
	c.log = append(c.log[:0], l.GetData()...)
	l.Data = c.log
	e.Event = &pb.RunEvent_Log{Log: l}
	return nil
}

// asLog reads a frame that is a log as this package writes it. Its data is that
// of the frame. false: it is something else, or written in another way.
func asLog(body []byte) (*pb.Log, bool) {
	m, ok := wire.Only(body, eventLog)
	if !ok {
		return nil, false
	}
	var l pb.Log
	if n, kind, tag := protowire.ConsumeTag(m); tag >= 0 && n == logOffset && kind == protowire.VarintType {
		offset, size := protowire.ConsumeVarint(m[tag:])
		if size < 0 {
			return nil, false
		}
		l.Offset, m = offset, m[tag+size:]
	}
	l.Data, ok = wire.Only(m, logData)
	return &l, ok && len(l.Data) <= MaxLog
}
