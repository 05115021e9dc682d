package status

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

const (
	// MaxPages is the most pages of one channel's status that are read.
	MaxPages = 4096
	// pageBytes is about how much one of them holds: with one more lease it stays under MaxPage.
	pageBytes = MaxPage / 2
	// hurryPause is how long a peer that is asked too fast is left alone, at least,
	// and up to as much again.
	hurryPause = 500 * time.Millisecond
)

// Fill adds leases of a channel to a page, from a cursor on, until it is full: each
// with what documents gives of it.
func Fill(page *pb.ChannelStatus, cursor uint64, leases iter.Seq2[market.Hash, error], documents func(market.Hash) ([]*pb.LeaseDocuments, error)) error {
	n, size := uint64(0), 0
	for h, err := range leases {
		if err != nil {
			return err
		}
		if n++; n <= cursor {
			continue
		}
		if size > pageBytes {
			page.NextCursor = n - 1
			return nil
		}
		shown, err := documents(h)
		if err != nil {
			return err
		}
		page.Leases = append(page.Leases, shown...)
		for _, d := range shown {
			size += proto.Size(d)
		}
	}
	return nil
}

// EachPage asks the other peer of a channel for all that it holds, a page at a
// time. Where that is too fast for it, it is asked for the page again.
func EachPage(ctx context.Context, h host.Host, p peer.ID, channel market.Hash, boot BootID, take func(*pb.ChannelStatus) error) error {
	return eachPage(ctx, func(cursor uint64) (*pb.ChannelStatus, error) {
		return Channel(ctx, h, p, channel, boot, cursor)
	}, take)
}

func eachPage(ctx context.Context, ask func(cursor uint64) (*pb.ChannelStatus, error), take func(*pb.ChannelStatus) error) error {
	cursor := uint64(0)
	for range MaxPages {
		page, err := ask(cursor)
		for wire.IsCode(err, wire.RateLimited) && wire.Pause(ctx, hurryPause+rand.N(hurryPause)) {
			page, err = ask(cursor)
		}
		if err == nil {
			err = take(page)
		}
		if err != nil || page.GetNextCursor() == 0 {
			return err
		}
		if page.GetNextCursor() <= cursor {
			return wire.Malformed("a channel's status goes back from page %d to %d", cursor, page.GetNextCursor())
		}
		cursor = page.GetNextCursor()
	}
	return wire.Malformed("a channel's status has more than %d pages", MaxPages)
}
