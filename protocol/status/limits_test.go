package status

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/internal/limit/limittest"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// page answers every question with the same page.
type page struct {
	Holder
	answer *pb.ChannelStatus
}

func (p page) ChannelStatus(context.Context, peer.ID, market.Hash, BootID, uint64) (*pb.ChannelStatus, error) {
	return p.answer, nil
}

// pageOf is a page whose answer has n bytes.
func pageOf(n int) *pb.ChannelStatus {
	p := &pb.ChannelStatus{Voucher: &pb.Voucher{Voucher: make([]byte, n-40)}}
	whole := &pb.StatusAnswer{Answer: &pb.StatusAnswer_Channel{Channel: p}}
	p.Voucher.Voucher = append(p.Voucher.Voucher, make([]byte, n-proto.Size(whole))...)
	return p
}

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"page of a channel's status": func(t *testing.T, n int64) error {
			net, err := mocknet.FullMeshConnected(2)
			require.NoError(t, err)
			defer func() { require.NoError(t, net.Close()) }()
			asker, holder := net.Hosts()[0], net.Hosts()[1]
			d := wire.NewDispatcher(holder, wire.Strangers{}, slog.New(slog.DiscardHandler))
			defer d.Close()
			Serve(d, page{answer: pageOf(int(n))})
			_, err = Channel(t.Context(), asker, holder.ID(), market.Hash{}, BootID{}, 0)
			if err != nil {
				require.ErrorIs(t, err, wire.ErrTooLarge)
			}
			return err
		},
		"pages of a channel's status": func(t *testing.T, n int64) error {
			return eachPage(t.Context(), func(cursor uint64) (*pb.ChannelStatus, error) {
				return &pb.ChannelStatus{NextCursor: (cursor + 1) % uint64(n)}, nil
			}, func(*pb.ChannelStatus) error { return nil })
		},
		"peers whose boot ID is remembered": func(t *testing.T, n int64) error {
			b := NewBoots(nil, BootID{})
			for i := range n {
				require.NoError(t, b.Admit(t.Context(), peer.ID(fmt.Sprint(i)), BootID{1}))
			}
			return limittest.Refused(b.live.Len() == int(n))
		},
	})
}
