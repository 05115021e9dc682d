package wire

import (
	"context"
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"souk/protocol/pb"
)

// onStream is a host whose streams are all the same one.
type onStream struct {
	host.Host
	raw network.Stream
}

func (o onStream) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	return o.raw, nil
}

// Whoever sends no answer would otherwise keep the stream for as long as the
// asker's context lives, and could go on sending.
func TestAQuestionThatFailsResetsItsStream(t *testing.T) {
	for name, x := range map[string]struct {
		answer []byte
		fails  bool
	}{
		"answered":     {answer: frame(nil)},
		"a long frame": {answer: frame(logOf(t, MaxControl+1)), fails: true},
		"nonsense":     {answer: frame([]byte{0xff}), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			raw, there := newRaw(t)
			send(t, there, x.answer, false)
			read := make(chan struct{})
			go func() { defer close(read); _, _ = io.CopyN(io.Discard, there, 1) }()
			err := askOnce(t.Context(), onStream{raw: halfClosing{raw}}, "someone", StatusProtocol, &pb.Log{}, &pb.Log{}, MaxControl)
			<-read
			require.Equal(t, x.fails, err != nil, "%v", err)
			require.Equal(t, x.fails, raw.wasReset())
		})
	}
}
