package status

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// knowing answers whatever gets as far as to it.
type knowing struct{}

func (knowing) LeaseStatus(context.Context, peer.ID, market.Quote, market.Signature) (*pb.LeaseStatus, error) {
	return &pb.LeaseStatus{}, nil
}

func (knowing) ChannelStatus(context.Context, peer.ID, market.Hash, BootID, uint64) (*pb.ChannelStatus, error) {
	return &pb.ChannelStatus{}, nil
}

// FuzzQuestion asks any bytes of a node.
func FuzzQuestion(f *testing.F) {
	for _, q := range []*pb.StatusRequest{
		{Request: &pb.StatusRequest_Lease{Lease: &pb.LeaseStatusRequest{Quote: market.Quote{}.Encode(), Signature: make([]byte, 65)}}},
		{Request: &pb.StatusRequest_Channel{Channel: &pb.ChannelStatusRequest{Channel: make([]byte, 32), BootId: make([]byte, 16)}}},
		{},
	} {
		seed, err := proto.Marshal(q)
		require.NoError(f, err)
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		var m pb.StatusRequest
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		if a, err := answer(t.Context(), "someone", &m, knowing{}); err == nil {
			require.NotNil(t, a.GetAnswer())
		}
	})
}
