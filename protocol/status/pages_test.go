package status

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// book has so many leases in a channel, whose documents are as large as these.
type book struct {
	leases int
	shown  []*pb.LeaseDocuments
}

func (b book) all() iter.Seq2[market.Hash, error] {
	return func(yield func(market.Hash, error) bool) {
		for i := range b.leases {
			if !yield(market.Hash{byte(i >> 8), byte(i)}, nil) {
				return
			}
		}
	}
}

// page is what a holder of the book answers.
func (b book) page(cursor uint64) (*pb.ChannelStatus, error) {
	p := &pb.ChannelStatus{}
	return p, Fill(p, cursor, b.all(), func(h market.Hash) (all []*pb.LeaseDocuments, err error) {
		for _, d := range b.shown {
			d := proto.Clone(d).(*pb.LeaseDocuments)
			d.Lease = h[:]
			all = append(all, d)
		}
		return all, nil
	})
}

func TestEachLeaseIsInOnePageAndPagesAreFull(t *testing.T) {
	large := &pb.LeaseDocuments{Terms: make([]byte, market.MaxBlock), Job: make([]byte, market.MaxBlock), Receipt: &pb.Receipt{Body: make([]byte, market.MaxBlock)}}
	small := &pb.LeaseDocuments{Terms: make([]byte, 500), Job: make([]byte, 300)}
	for name, b := range map[string]book{
		"none": {}, "large": {40, []*pb.LeaseDocuments{large, large}}, "small": {2000, []*pb.LeaseDocuments{small}},
	} {
		var shown []market.Hash
		pages := 0
		require.NoError(t, eachPage(t.Context(), b.page, func(p *pb.ChannelStatus) error {
			pages++
			require.LessOrEqual(t, proto.Size(&pb.StatusAnswer{Answer: &pb.StatusAnswer_Channel{Channel: p}}), MaxPage, name)
			for i, d := range p.GetLeases() {
				if i%len(b.shown) == 0 {
					shown = append(shown, market.Hash(d.GetLease()))
				}
			}
			return nil
		}))
		require.Len(t, shown, b.leases, name)
		for i, h := range shown {
			require.Equal(t, market.Hash{byte(i >> 8), byte(i)}, h, name)
		}
		if name == "small" {
			require.LessOrEqual(t, pages, 5, "leases of a kilobyte each, half a mebibyte of them in a page")
		}
	}
}

// A channel with many pages is read whole, though no peer takes as many
// questions at once as it has pages.
func TestPagesThatAreAskedForTooFastAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pages = 4 * wire.AsksBurst
		asks := rate.NewLimiter(wire.AsksPerSecond, wire.AsksBurst)
		read := 0
		require.NoError(t, eachPage(t.Context(), func(cursor uint64) (*pb.ChannelStatus, error) {
			if !asks.Allow() {
				return nil, wire.Refuse(wire.RateLimited, "too fast")
			}
			return &pb.ChannelStatus{NextCursor: (cursor + 1) % pages}, nil
		}, func(*pb.ChannelStatus) error { read++; return nil }))
		require.Equal(t, pages, read)
	})
}

func TestNobodyIsAskedForPagesWithoutEnd(t *testing.T) {
	none := func(*pb.ChannelStatus) error { return nil }
	asked := 0
	back := func(cursor uint64) (*pb.ChannelStatus, error) {
		asked++
		return &pb.ChannelStatus{NextCursor: 2 - cursor/2}, nil
	}
	require.ErrorIs(t, eachPage(t.Context(), back, none), wire.ErrMalformed)
	require.Equal(t, 2, asked, "the second page leads back to the first")

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := eachPage(ctx, func(uint64) (*pb.ChannelStatus, error) {
			return nil, wire.Refuse(wire.RateLimited, "always")
		}, none)
		require.True(t, wire.IsCode(err, wire.RateLimited), "%v", err)
	})

	broken := errors.New("broken")
	require.ErrorIs(t, eachPage(t.Context(), book{leases: 1}.page, func(*pb.ChannelStatus) error { return broken }), broken)
}
