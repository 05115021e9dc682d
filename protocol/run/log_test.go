package run

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Whatever a provider's bytes are, the short way to read a log gives what the
// decoder of all events gives.
func TestALogIsReadAsAnyOtherEvent(t *testing.T) {
	logs := [][]byte{}
	for _, l := range []*pb.Log{{}, {Offset: 7}, {Data: []byte("a")}, {Offset: 1 << 40, Data: make([]byte, LogPiece)}, {Data: make([]byte, MaxLog+1)}} {
		body, err := proto.Marshal(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: l}})
		require.NoError(t, err)
		logs = append(logs, body)
	}
	_, short := asLog(logs[3])
	require.True(t, short, "what a provider sends takes the long way")
	field := func(n protowire.Number, inner []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), inner)
	}
	offset := protowire.AppendVarint(protowire.AppendTag(nil, logOffset, protowire.VarintType), 9)
	data, unknown := field(logData, []byte("data")), field(99, []byte("?"))
	bodies := slices.Concat(logs, [][]byte{nil, unknown,
		append(bytes.Clone(logs[2]), logs[3]...), append(bytes.Clone(logs[3]), unknown...), field(3, data), // two logs, a field more, a tick
		field(eventLog, append(bytes.Clone(data), offset...)), field(eventLog, append(bytes.Clone(data), data...)), // in another order, twice
		field(eventLog, append(append(bytes.Clone(offset), unknown...), data...)), logs[3][:9], field(eventLog, data[:3]), // cut
	})
	var c Session
	for _, body := range bodies {
		var got, want pb.RunEvent
		errGot, errWant := c.decode(bytes.Clone(body), &got), wire.Decode(body, &want)
		require.Equal(t, errWant == nil, errGot == nil, "%x", body[:min(len(body), 40)])
		if errWant == nil {
			require.True(t, proto.Equal(&want, &got), "%x", body[:min(len(body), 40)])
		}
	}
}
