package blob

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

func from(blocks [][]byte) func(int) Source {
	return func(skip int) Source { return sourceOf(blocks[skip:]) }
}

func TestPut(t *testing.T) {
	client, server := pair(t)
	blocks := append(blocksOf(5, MaxBlock), blocksOf(2500, 10)...)
	store := &storeOf{client: client.ID(), root: rootOf(blocks)}
	serve(t, server, store)
	for _, skip := range []int{0, 3, len(blocks) - 1, len(blocks)} {
		store.sink = &sinkOf{want: blocks, have: skip, skip: skip}
		var moved, size int64
		require.NoError(t, Put(t.Context(), client, server.ID(), lease, store.root, from(blocks), func(n int64) { moved = n }))
		require.True(t, store.sink.Complete())
		for _, b := range blocks[skip:] {
			size += int64(len(b))
		}
		require.Equal(t, size, moved, "what is there is not sent again")
		require.Eventually(t, func() bool {
			store.sink.mu.Lock()
			defer store.sink.mu.Unlock()
			return store.sink.closed
		}, 5*time.Second, time.Millisecond)
	}
}

// The sender dies after some blocks; the receiver keeps what came.
func TestPutResumes(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(6, 200_000)
	store := &storeOf{client: client.ID(), root: rootOf(blocks), sink: &sinkOf{want: blocks}}
	serve(t, server, store)

	died := errors.New("the disk of the sender died")
	dying := func(skip int) Source {
		return func(yield func([]byte, error) bool) {
			for _, b := range blocks[skip:4] {
				if !yield(b, nil) {
					return
				}
			}
			yield(nil, died)
		}
	}
	err := Put(t.Context(), client, server.ID(), lease, store.root, dying, nil)
	require.ErrorIs(t, err, died)
	require.NotErrorIs(t, err, ErrBroken)
	first := store.sink
	require.Eventually(t, func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return first.closed
	}, 5*time.Second, time.Millisecond)
	store.sink = first.again()
	require.NoError(t, Put(t.Context(), client, server.ID(), lease, store.root, from(blocks), nil))
	require.True(t, store.sink.Complete())
}

// A full receiver says so in the middle, and the sender hears it although it
// is busy sending.
func TestPutIsRefusedInTheMiddle(t *testing.T) {
	blocks := blocksOf(200, MaxBlock) // more than any buffer between the two
	for name, c := range map[string]struct {
		says error
		code wire.Code
	}{
		"no room":      {ErrNoRoom, wire.OverLimit},
		"over limit":   {ErrOverLimit, wire.OverLimit},
		"own refusal":  {wire.Refuse(wire.ShuttingDown, "bye"), wire.ShuttingDown},
		"disk trouble": {errors.New("input/output error"), wire.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			store := &storeOf{client: client.ID(), root: rootOf(blocks), sink: &sinkOf{want: blocks, fails: map[int]error{3: c.says}}}
			serve(t, server, store)
			started := time.Now()
			err := Put(t.Context(), client, server.ID(), lease, store.root, from(blocks), nil)
			require.True(t, wire.IsCode(err, c.code), "%v", err)
			require.NotContains(t, err.Error(), "input/output", "a peer learns nothing of this node's insides")
			require.Less(t, time.Since(started), wire.FrameTimeout)
		})
	}
}

// A client that does what none should is refused as malformed, and what came
// before is kept.
func TestPutFromHostilePeers(t *testing.T) {
	blocks := blocksOf(3, 10)
	root := rootOf(blocks)
	begin := &pb.BlobRequest{Request: &pb.BlobRequest_Put{Put: &pb.BlobPut{Lease: lease[:], Root: root.Bytes()}}}
	data := func(b ...[]byte) *pb.BlobRequest {
		return &pb.BlobRequest{Request: &pb.BlobRequest_Blocks{Blocks: &pb.BlobBlocks{Data: b}}}
	}
	end := &pb.BlobRequest{Request: &pb.BlobRequest_End{End: &pb.BlobEnd{}}}
	get := func(lease, root []byte, skip uint64) *pb.BlobRequest {
		return &pb.BlobRequest{Request: &pb.BlobRequest_Get{Get: &pb.BlobGet{Lease: lease, Root: root, Skip: skip}}}
	}
	for name, sent := range map[string][]proto.Message{
		"the wrong order":    {begin, data(blocks[0], blocks[2])},
		"an early end":       {begin, data(blocks[0]), end},
		"an end at once":     {begin, end},
		"one block too many": {begin, data(blocks...), data(blocks[0])},
		"empty frames":       {begin, data()},
		"a huge block":       {begin, data(make([]byte, MaxBlock+1))},
		"a huge frame":       {begin, data(blocksOf(5, MaxBlock)...)},
		"another beginning":  {begin, begin},
		"an empty message":   {&pb.BlobRequest{}},
		"blocks at once":     {data(blocks[0])},
		"a short lease":      {get(lease[:31], root.Bytes(), 0)},
		"no root":            {get(lease[:], nil, 0)},
		"a long root":        {get(lease[:], make([]byte, 1000), 0)},
		"a root that is not": {get(lease[:], []byte{1, 2, 3}, 0)},
		"a skip over all":    {get(lease[:], root.Bytes(), 1<<63)},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			store := &storeOf{client: client.ID(), root: root, sink: &sinkOf{want: blocks}, source: from(blocks)}
			serve(t, server, store)
			s, err := wire.Open(t.Context(), client, server.ID(), wire.BlobProtocol)
			require.NoError(t, err)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer s.Reset()
			wg.Go(func() {
				for _, m := range sent {
					if s.Write(m) != nil {
						return
					}
				}
			})
			var code wire.Code
			for code == "" {
				var a pb.BlobAnswer
				require.NoError(t, s.Read(&a, wire.MaxControl, wire.FrameTimeout))
				code = wire.Code(a.GetRefusal().GetCode())
			}
			require.Equal(t, wire.BadRequest, code)
		})
	}
}

// Whatever a receiver answers to a put, the sender ends and knows why.
func TestPutToHostilePeers(t *testing.T) {
	blocks := blocksOf(100, MaxBlock)
	ready := &pb.BlobAnswer{Answer: &pb.BlobAnswer_Ready{Ready: &pb.BlobReady{}}}
	for name, c := range map[string]struct {
		answers []proto.Message
		want    error
	}{
		"nothing":               {nil, ErrBroken},
		"an end at once":        {[]proto.Message{answerEnd()}, ErrGarbage},
		"a skip over all":       {[]proto.Message{&pb.BlobAnswer{Answer: &pb.BlobAnswer_Ready{Ready: &pb.BlobReady{Skip: 1 << 40}}}}, ErrGarbage},
		"ready twice":           {[]proto.Message{ready, ready}, ErrGarbage},
		"ready, then gone":      {[]proto.Message{ready}, ErrBroken},
		"ready, then a refusal": {[]proto.Message{ready, refuse(wire.Refuse(wire.Busy, "no").Proto())}, &wire.Refusal{}},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			hostilePeer(server, func(s *wire.Stream) {
				_ = s.Read(&pb.BlobRequest{}, wire.MaxControl, wire.FrameTimeout)
				for _, m := range c.answers {
					_ = s.Write(m)
				}
				_ = s.Close()
			})
			err := Put(t.Context(), client, server.ID(), lease, rootOf(blocks), from(blocks), nil)
			var refusal *wire.Refusal
			if errors.As(c.want, &refusal) {
				require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
				return
			}
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestPutIsCancelled(t *testing.T) {
	client, server := pair(t)
	blocks := blocksOf(3, 10)
	serve(t, server, &storeOf{client: client.ID(), root: rootOf(blocks), sink: &sinkOf{want: blocks}})
	ctx, cancel := context.WithCancel(t.Context())
	err := Put(ctx, client, server.ID(), lease, rootOf(blocks), func(int) Source {
		return func(yield func([]byte, error) bool) {
			yield(blocks[0], nil)
			cancel()
			<-ctx.Done()
			yield(blocks[1], ctx.Err())
		}
	}, nil)
	require.ErrorIs(t, err, context.Canceled)
}
