package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"souk/internal/limit/limittest"
	"souk/protocol/pb"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"control frame":     frameOf(MaxControl),
		"data frame":        frameOf(MaxData),
		"fields in a frame": manyFields,
		"a frame, from its first byte to its last": inTime(dripsFor),
		"opening a stream":                         inTime(opensAfter),
		"question and answer":                      inTime(answersAfter),
		"silence in a conversation":                inTime(silentFor),
		"malformed messages of a peer, one forgotten every 2 min": func(t *testing.T, n int64) error {
			d, blocked := newTestDispatcher()
			defer d.Close()
			for range n {
				_, _ = told(t, d, LeaseProtocol, asIs, fails(Malformed("nonsense")))
			}
			return limittest.Refused(len(blocked) == 0)
		},
		"streams of a protocol that wait for their first frame":          waitTogether,
		"new streams of a peer and protocol in a second":                 inASecond(false, AsksBurst),
		"new streams of a peer and protocol at once":                     atOnce(false),
		"new streams of a peer that has paid, and protocol, in a second": inASecond(true, AsksBurst*RegularAsks),
		"new streams of a peer that has paid, and protocol, at once":     atOnce(true),
		"code of a refusal": func(_ *testing.T, n int64) error {
			r := FromProto(&pb.Refusal{Code: text(n)})
			return limittest.Refused(len(r.Code) == int(n))
		},
		"sentence of a refusal": func(_ *testing.T, n int64) error {
			r := FromProto(&pb.Refusal{Sentence: text(n), Nearest: text(n)})
			return limittest.Refused(len(r.Sentence) == int(n) && len(r.Nearest) == int(n))
		},
		"peers whose manners are remembered": func(t *testing.T, n int64) error {
			m := newManners()
			for i := range n {
				m.mayAsk(peer.ID(fmt.Sprint(i)), LeaseProtocol, false)
				m.Misbehaved(peer.ID(fmt.Sprint(i)))
			}
			require.Equal(t, m.asks.Len(), m.Faults.of.Len())
			return limittest.Refused(m.asks.Len() == int(n))
		},
	})
}

func text(n int64) string { return strings.Repeat("x", int(n)) }

// logOf is a message of exactly n bytes.
func logOf(t *testing.T, n int64) []byte {
	body, err := proto.Marshal(&pb.Log{Data: make([]byte, n-4)})
	require.NoError(t, err)
	if extra := len(body) - int(n); extra > 0 { // by a byte for each byte of the length
		body, err = proto.Marshal(&pb.Log{Data: make([]byte, int(n)-4-extra)})
		require.NoError(t, err)
	}
	for len(body) < int(n) {
		body = protowire.AppendVarint(protowire.AppendTag(body, 1, protowire.VarintType), 1)
	}
	return body
}

func frameOf(limit int) limittest.Probe {
	return func(t *testing.T, n int64) error {
		raw, there := newRaw(t)
		s := NewStream(t.Context(), raw)
		defer s.Reset()
		var m pb.Log
		send(t, there, frame(logOf(t, n)), true)
		err := s.Read(&m, limit, IdleTimeout)
		if err != nil {
			require.ErrorIs(t, err, ErrTooLarge)
			require.Zero(t, raw.scope.most, "nothing was set aside for it")
		}
		return err
	}
}

// manyFields is a page of a channel's status with n fields, as short as they get.
func manyFields(t *testing.T, n int64) error {
	lease := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), nil)
	inner := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), nil))
	body := inner // two of them: a lease and its quote
	for range n - 2 {
		body = append(body, lease...)
	}
	raw, there := newRaw(t)
	s := NewStream(t.Context(), raw)
	defer s.Reset()
	send(t, there, frame(body), true)
	err := s.Read(&pb.ChannelStatus{}, MaxData, IdleTimeout)
	if err != nil {
		require.ErrorIs(t, err, ErrMalformed)
	}
	return err
}

// inTime runs a probe by synctest's clock; what is too slow is ErrSlow or the
// end of a context.
func inTime(try func(t *testing.T, wait time.Duration) error) limittest.Probe {
	return func(t *testing.T, n int64) (err error) {
		synctest.Test(t, func(t *testing.T) { err = try(t, limittest.Wait(n)) })
		if err != nil && !errors.Is(err, ErrSlow) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		return err
	}
}

func dripsFor(t *testing.T, wait time.Duration) error { return pausesAfter(t, 1, wait) }

func silentFor(t *testing.T, wait time.Duration) error { return pausesAfter(t, 0, wait) }

// pausesAfter sends a frame with a pause after so many bytes of it.
func pausesAfter(t *testing.T, n int, pause time.Duration) error {
	raw, there := newRaw(t)
	s := NewStream(t.Context(), raw)
	var peer sync.WaitGroup
	defer peer.Wait()
	defer s.Reset()
	peer.Go(func() {
		b := frame(logOf(t, 20))
		_, _ = there.Write(b[:n])
		<-time.After(pause)
		_, _ = there.Write(b[n:])
		_ = there.Close()
	})
	return s.Read(&pb.Log{}, MaxControl, IdleTimeout)
}

// slowHost takes a while to open a stream, whose peer takes a while to answer.
type slowHost struct {
	host.Host
	t            *testing.T
	open, answer time.Duration
	peer         *sync.WaitGroup
}

func (h slowHost) NewStream(ctx context.Context, _ peer.ID, _ ...protocol.ID) (network.Stream, error) {
	select {
	case <-time.After(h.open):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	raw, there := newRaw(h.t)
	h.peer.Go(func() {
		_, _ = io.CopyN(io.Discard, there, 1+20)
		<-time.After(h.answer)
		_, _ = there.Write(frame(nil))
		_ = there.Close()
	})
	return halfClosing{raw}, nil
}

// halfClosing leaves the reading side open, as a stream does.
type halfClosing struct{ *rawStream }

func (halfClosing) CloseWrite() error { return nil }

func opensAfter(t *testing.T, wait time.Duration) error { return askSlow(t, wait, 0) }

func answersAfter(t *testing.T, wait time.Duration) error { return askSlow(t, 0, wait) }

func askSlow(t *testing.T, open, answer time.Duration) error {
	var q pb.Log
	require.NoError(t, proto.Unmarshal(logOf(t, 20), &q))
	var peer sync.WaitGroup
	defer peer.Wait()
	return Ask(t.Context(), slowHost{t: t, open: open, answer: answer, peer: &peer}, "someone", OfferProtocol, &q, &pb.Log{}, MaxControl)
}

func atOnce(regular bool) limittest.Probe {
	return func(t *testing.T, n int64) (err error) {
		synctest.Test(t, func(*testing.T) { err = asked(newManners(), regular, n) })
		return err
	}
}

// inASecond asks after the burst was used up.
func inASecond(regular bool, burst int64) limittest.Probe {
	return func(t *testing.T, n int64) (err error) {
		synctest.Test(t, func(t *testing.T) {
			m := newManners()
			require.NoError(t, asked(m, regular, burst))
			<-time.After(time.Second)
			err = asked(m, regular, n)
		})
		return err
	}
}

func asked(m *manners, regular bool, n int64) (err error) {
	for range n {
		_, ok := m.mayAsk("someone", OfferProtocol, regular)
		err = errors.Join(err, limittest.Refused(ok))
	}
	return err
}
