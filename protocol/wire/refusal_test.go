package wire

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
)

func TestARefusalTravelsWhole(t *testing.T) {
	want := Refuse(OverPrice, "it costs %d", 7).Near("at %d it would do", 8).After(90 * time.Second)
	require.Equal(t, want, FromProto(want.Proto()))
	require.Equal(t, "it costs 7; at 8 it would do", want.Error())
}

// A sentence that is cut inside a letter, or quotes a peer's bytes, was not
// sendable as protobuf text once, and the peer got a reset in its place.
func TestAnyRefusalCanBeSent(t *testing.T) {
	for _, s := range []string{strings.Repeat("ä", 1000), "x" + strings.Repeat("ä", 1000), "\xff\xfe", ""} {
		p := Refuse(Code(s), "%s", s).Near("%s", s).Proto()
		_, err := proto.Marshal(p)
		require.NoError(t, err)
		require.LessOrEqual(t, len(p.GetCode()), 32)
		require.LessOrEqual(t, len(p.GetSentence()), 512)
		require.LessOrEqual(t, len(p.GetNearest()), 512)
	}
}

func TestAPeersWordsCannotDriveATerminal(t *testing.T) {
	r := FromProto(&pb.Refusal{
		Code: "a\x1b[2J", Sentence: "b\x00\r\n\u009b31m\xff" + strings.Repeat("long", 1000), Nearest: "c\x7f", RetryAfterMillis: math.MaxUint64,
	})
	for _, s := range []string{string(r.Code), r.Sentence, r.Nearest} {
		require.True(t, utf8.ValidString(s))
		require.NotRegexp(t, `[\x00-\x1f\x7f-\x9f]`, s)
		require.LessOrEqual(t, len(s), 520)
	}
	require.Equal(t, time.Hour, r.RetryAfter)
}

func TestARefusalIsFoundInAnError(t *testing.T) {
	err := fmt.Errorf("ask: %w", Refuse(Void, "voided"))
	require.True(t, IsCode(err, Void))
	require.False(t, IsCode(err, Taken))
	require.False(t, IsCode(errors.New("void"), Void))
	require.Equal(t, Void, AsRefusal(err).Code)
	require.Equal(t, Internal, AsRefusal(errors.New("boom")).Code)
}
