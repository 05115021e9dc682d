package blob

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func TestGet(t *testing.T) {
	client, server := pair(t)
	blocks := append(blocksOf(3, MaxBlock), blocksOf(3000, 10)...)
	blocks = append(blocks, []byte{}) // an empty file
	store := &storeOf{client: client.ID(), root: rootOf(blocks), source: func(skip int) Source { return sourceOf(blocks[skip:]) }}
	serve(t, server, store)

	for _, skip := range []int{0, 2, len(blocks) - 1} {
		sink := &sinkOf{want: blocks, have: skip, skip: skip}
		var moved, size int64
		require.NoError(t, Get(t.Context(), client, server.ID(), lease, store.root, sink, func(n int64) {
			require.GreaterOrEqual(t, n, moved)
			moved = n
		}))
		require.True(t, sink.Complete())
		for _, b := range blocks[skip:] {
			size += int64(len(b))
		}
		require.Equal(t, size, moved)
	}
}

func TestGetOfWhatIsThereAsksNobody(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(2, 10)
	sink := &sinkOf{want: blocks, have: 2, skip: 2}
	require.NoError(t, Get(t.Context(), client, server.ID(), lease, rootOf(blocks), sink, nil))
}

// The connection breaks after every block; each time the transfer goes on.
func TestGetResumes(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(6, 200_000)
	store := &storeOf{client: client.ID(), root: rootOf(blocks)}
	hostilePeer(server, func(s *wire.Stream) {
		var m pb.BlobRequest
		if s.Read(&m, wire.MaxControl, wire.FrameTimeout) != nil {
			return
		}
		skip := int(m.GetGet().GetSkip()) //nolint:gosec // our own client's
		_ = s.Write(answerBlocks(blocks[skip]))
		_ = s.CloseWrite()                                 // without an end
		_ = s.Read(&m, wire.MaxControl, wire.FrameTimeout) // until the client has the block: a reset would overtake it
	})
	sink := &sinkOf{want: blocks}
	for i := range blocks {
		err := Get(t.Context(), client, server.ID(), lease, store.root, sink, nil)
		require.Equal(t, i+1, sink.have)
		if i == len(blocks)-1 {
			require.NoError(t, err)
			break
		}
		require.ErrorIs(t, err, ErrBroken)
		sink = sink.again()
	}
}

// Whatever a peer answers to a get, the caller learns whose fault it was.
func TestGetFromHostilePeers(t *testing.T) {
	blocks := blocksOf(3, 10)
	refusal := func(c wire.Code) proto.Message {
		return &pb.BlobAnswer{Answer: &pb.BlobAnswer_Refusal{Refusal: wire.Refuse(c, "no").Proto()}}
	}
	cases := map[string]struct {
		answers []proto.Message
		want    error
	}{
		"another block":        {[]proto.Message{answerBlocks(blocks[0], blocks[2])}, ErrGarbage},
		"a block twice":        {[]proto.Message{answerBlocks(blocks[0], blocks[0])}, ErrGarbage},
		"a block too large":    {[]proto.Message{answerBlocks(make([]byte, MaxBlock+1))}, ErrGarbage},
		"a frame of nothing":   {[]proto.Message{answerBlocks()}, ErrGarbage},
		"too many in a frame":  {[]proto.Message{answerBlocks(make([][]byte, FrameBlocks+1)...)}, ErrGarbage},
		"a frame too large":    {[]proto.Message{answerBlocks(blocksOf(5, MaxBlock)...)}, ErrGarbage},
		"no answer":            {[]proto.Message{&pb.BlobAnswer{}}, ErrGarbage},
		"the answer to a put":  {[]proto.Message{&pb.BlobAnswer{Answer: &pb.BlobAnswer_Ready{Ready: &pb.BlobReady{}}}}, ErrGarbage},
		"an end at once":       {[]proto.Message{answerEnd()}, ErrWithheld},
		"an end too early":     {[]proto.Message{answerBlocks(blocks[0]), answerEnd()}, ErrWithheld},
		"unknown":              {[]proto.Message{refusal(wire.Unknown)}, ErrWithheld},
		"unknown in the midst": {[]proto.Message{answerBlocks(blocks[0]), refusal(wire.Unknown)}, ErrWithheld},
		"nothing":              {nil, ErrBroken},
		"a part":               {[]proto.Message{answerBlocks(blocks[0])}, ErrBroken},
		"more than was asked":  {[]proto.Message{answerBlocks(blocks...), answerBlocks(blocks...)}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			hostilePeer(server, func(s *wire.Stream) {
				for _, m := range c.answers {
					if s.Write(m) != nil {
						return
					}
				}
				_ = s.CloseWrite()
				_ = s.Read(&pb.BlobRequest{}, wire.MaxControl, wire.FrameTimeout)
				_ = s.Read(&pb.BlobRequest{}, wire.MaxControl, wire.FrameTimeout) // until the client has ended its side
			})
			err := Get(t.Context(), client, server.ID(), lease, rootOf(blocks), &sinkOf{want: blocks}, nil)
			require.ErrorIs(t, err, c.want)
			for _, other := range []error{ErrBroken, ErrGarbage, ErrWithheld} {
				require.True(t, errors.Is(c.want, other) || !errors.Is(err, other), "%v", err)
			}
		})
	}
}

func TestGetIsRefused(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(2, 10)
	store := &storeOf{client: client.ID(), root: rootOf(blocks), source: func(int) Source { return sourceOf(blocks) }}
	serve(t, server, store)
	err := Get(t.Context(), client, server.ID(), market.Hash{9}, store.root, &sinkOf{want: blocks}, nil)
	require.True(t, wire.IsCode(err, wire.BadRequest), "%v", err)

	stranger, _ := pair(t)
	server2 := server.Peerstore().PeerInfo(server.ID())
	require.NoError(t, stranger.Connect(t.Context(), server2))
	err = Get(t.Context(), stranger, server.ID(), lease, store.root, &sinkOf{want: blocks}, nil)
	require.True(t, wire.IsCode(err, wire.BadRequest), "%v", err)
}

// The provider lost a block of an output: the client sees that it is withheld.
func TestGetOfABlockThatIsMissing(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(2, 10)
	serve(t, server, &storeOf{client: client.ID(), root: rootOf(blocks), source: func(int) Source {
		return func(yield func([]byte, error) bool) {
			if yield(blocks[0], nil) {
				yield(nil, ErrMissing)
			}
		}
	}})
	err := Get(t.Context(), client, server.ID(), lease, rootOf(blocks), &sinkOf{want: blocks}, nil)
	require.ErrorIs(t, err, ErrWithheld)
	require.True(t, wire.IsCode(err, wire.Unknown))
}

func TestGetFailsForThisSidesOwnReasons(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(2, 10)
	serve(t, server, &storeOf{client: client.ID(), root: rootOf(blocks), source: func(int) Source { return sourceOf(blocks) }})
	full := &sinkOf{want: blocks, fails: map[int]error{1: ErrNoRoom}}
	err := Get(t.Context(), client, server.ID(), lease, rootOf(blocks), full, nil)
	require.ErrorIs(t, err, ErrNoRoom)
	for _, other := range []error{ErrBroken, ErrGarbage, ErrWithheld} {
		require.NotErrorIs(t, err, other)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Get(ctx, client, server.ID(), lease, rootOf(blocks), &sinkOf{want: blocks}, nil), context.Canceled)

	nobody := newHost(t)
	err = Get(t.Context(), client, nobody.ID(), lease, rootOf(blocks), &sinkOf{want: blocks}, nil)
	require.ErrorIs(t, err, ErrBroken)
}
