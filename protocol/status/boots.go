package status

import (
	"context"
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multistream"

	"souk/internal/cache"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

const (
	maxBoots  = 4096            // peers whose boot ID is remembered
	twinWait  = 3 * time.Second // for an older connection to say who it is
	noChannel = 32              // bytes of the all-zero channel ID that asks for the boot ID alone
)

// Boots knows which run of each peer is the live one, so that two processes
// with one key can't both sign on a channel.
type Boots struct {
	host host.Host
	own  BootID
	mu   sync.Mutex
	live *lru.Cache[peer.ID, BootID]
}

// NewBoots begins with no peer known.
func NewBoots(h host.Host, own BootID) *Boots {
	return &Boots{host: h, own: own, live: cache.New[peer.ID, BootID](maxBoots)}
}

// Admit takes boot for the peer's live run. If another was known, each
// connection of the peer is asked who is behind it: where the other answers,
// the newcomer is refused with channel_in_use.
func (b *Boots) Admit(ctx context.Context, p peer.ID, boot BootID) error {
	b.mu.Lock()
	known, ok := b.live.Get(p)
	b.mu.Unlock()
	if ok && known != boot {
		for _, c := range b.host.Network().ConnsToPeer(p) {
			if other, err := b.whoIs(ctx, c); err == nil && other != boot {
				return wire.Refuse(wire.ChannelInUse, "another running node uses the same key as this peer; stop one of the two")
			}
		}
	}
	b.mu.Lock()
	b.live.Add(p, boot)
	b.mu.Unlock()
	return nil
}

// whoIs asks for the boot ID of the process at the other end of one connection.
func (b *Boots) whoIs(ctx context.Context, c network.Conn) (BootID, error) {
	ctx, cancel := context.WithTimeout(ctx, twinWait)
	defer cancel()
	raw, err := c.NewStream(network.WithAllowLimitedConn(ctx, "boot ID"))
	if err != nil {
		return BootID{}, err
	}
	if err := errors.Join(raw.SetDeadline(time.Now().Add(twinWait)), raw.SetProtocol(wire.StatusProtocol), raw.Scope().SetService(string(wire.StatusProtocol))); err != nil {
		_ = raw.Reset()
		return BootID{}, err
	}
	if err := multistream.SelectProtoOrFail(wire.StatusProtocol, raw); err != nil {
		_ = raw.Reset()
		return BootID{}, err
	}
	s := wire.NewStream(ctx, raw)
	defer s.Reset()
	if err := s.Write(&pb.StatusRequest{Request: &pb.StatusRequest_Channel{
		Channel: &pb.ChannelStatusRequest{Channel: make([]byte, noChannel), BootId: b.own[:]},
	}}); err != nil {
		return BootID{}, err
	}
	var a pb.StatusAnswer
	if err := s.Read(&a, MaxPage, twinWait); err != nil {
		return BootID{}, err
	}
	if len(a.GetChannel().GetBootId()) != len(BootID{}) {
		return BootID{}, wire.Malformed("no boot ID")
	}
	return BootID(a.GetChannel().GetBootId()), nil
}
