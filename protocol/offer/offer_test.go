package offer_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.UnixMilli(1_800_000_000_000)

func newKey(t testing.TB) (crypto.PrivKey, peer.ID) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	return key, id
}

func sample(id peer.ID) offer.Offer {
	return offer.Offer{
		Network: "test", Peer: id, Sequence: 7, ExpiresAt: now.Add(offer.Validity),
		Addrs:   []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.1/tcp/4001"), ma.StringCast("/ip6/2001:db8::1/udp/4001/quic-v1")},
		Devices: []offer.Device{{Device: market.Device{Model: "NVIDIA RTX 4090", Slug: "rtx-4090", VRAM: 24 << 30, Count: 2, Evidence: market.Simulated, Shared: true}, Free: 1}},
		CPU:     8, Memory: 16 << 30, Disk: 1 << 40, Executors: []string{"wasm"}, Speed: 12345, Region: "eu", PricePerHour: market.NewAmount(400_000),
		Settlement: "none", Chain: market.NoChain("test"), Depth: 3, Tick: time.Minute, MaxTime: time.Hour,
		Challenge: offer.ChallengeLease, Egress: true,
	}
}

func seal(t testing.TB, o offer.Offer, key crypto.PrivKey) []byte {
	b, err := offer.Seal(o, key)
	require.NoError(t, err)
	return b
}

func TestAnOfferComesBackAsItWas(t *testing.T) {
	key, id := newKey(t)
	got, err := offer.Open(seal(t, sample(id), key), "test", now)
	require.NoError(t, err)
	require.Equal(t, sample(id), got)
}

func TestOpenTakesNothingElse(t *testing.T) {
	key, id := newKey(t)
	other, _ := newKey(t)
	change := func(f func(*offer.Offer)) []byte {
		o := sample(id)
		f(&o)
		return seal(t, o, key)
	}
	flipped := seal(t, sample(id), key)
	flipped[len(flipped)/2] ^= 1
	foreign, err := record.Seal(&peer.PeerRecord{PeerID: id, Seq: 1}, key)
	require.NoError(t, err)
	peerRecord, err := foreign.Marshal()
	require.NoError(t, err)
	cases := map[string]struct {
		sealed []byte
		want   error
	}{
		"nothing":              {nil, offer.ErrInvalid},
		"noise":                {[]byte("\x0a\xff\xff\xff\xff\x0fhello"), offer.ErrInvalid},
		"over the cap":         {make([]byte, offer.MaxBytes+1), offer.ErrInvalid},
		"one bit flipped":      {flipped, offer.ErrInvalid},
		"another's signature":  {seal(t, sample(id), other), offer.ErrInvalid},
		"another record":       {peerRecord, offer.ErrInvalid},
		"another network":      {change(func(o *offer.Offer) { o.Network = "souk" }), offer.ErrOtherNetwork},
		"run out":              {change(func(o *offer.Offer) { o.ExpiresAt = now.Add(-offer.Tolerance - time.Second) }), offer.ErrExpired},
		"valid for too long":   {change(func(o *offer.Offer) { o.ExpiresAt = now.Add(offer.Validity + offer.Tolerance + time.Second) }), offer.ErrInvalid},
		"more free than there": {change(func(o *offer.Offer) { o.Devices[0].Free = 3 }), offer.ErrInvalid},
		"a tick of nothing":    {change(func(o *offer.Offer) { o.Tick = 0 }), offer.ErrInvalid},
		"a longest time":       {change(func(o *offer.Offer) { o.MaxTime = 31 * 24 * time.Hour }), offer.ErrInvalid},
		"negative memory":      {change(func(o *offer.Offer) { o.Memory = -1 }), offer.ErrInvalid},
		"a long word":          {change(func(o *offer.Offer) { o.Region = strings.Repeat("x", 65) }), offer.ErrInvalid},
		"an escape sequence":   {change(func(o *offer.Offer) { o.Executors = []string{"\x1b[2J"} }), offer.ErrInvalid},
		"nine executors":       {change(func(o *offer.Offer) { o.Executors = strings.Split("a b c d e f g h i", " ") }), offer.ErrInvalid},
		"depth 13":             {change(func(o *offer.Offer) { o.Depth = 13 }), offer.ErrInvalid},
	}
	for name, c := range cases {
		_, err := offer.Open(c.sealed, "test", now)
		require.ErrorIs(t, err, c.want, name)
	}
	within := change(func(o *offer.Offer) { o.ExpiresAt = now.Add(-offer.Tolerance) })
	_, err = offer.Open(within, "test", now)
	require.NoError(t, err, "clocks may differ")
}

func TestAnOfferThatIsTooLargeIsNotSealed(t *testing.T) {
	key, id := newKey(t)
	o := sample(id)
	o.Devices[0].Model = strings.Repeat("x", 64)
	for range 31 {
		o.Devices = append(o.Devices, o.Devices[0])
	}
	_, err := offer.Seal(o, key)
	require.ErrorIs(t, err, offer.ErrInvalid)
}

func newCache(t *testing.T, size int) *offer.Cache {
	c, err := offer.NewCache(size)
	require.NoError(t, err)
	return c
}

func TestTheHighestSequenceWins(t *testing.T) {
	key, id := newKey(t)
	c := newCache(t, 4)
	add := func(seq uint64, cpu int) {
		o := sample(id)
		o.Sequence, o.CPU = seq, cpu
		c.Add(o, seal(t, o, key))
	}
	add(5, 5)
	add(9, 9)
	add(7, 7)
	got, ok := c.Get(id, now)
	require.True(t, ok)
	require.Equal(t, 9, got.CPU)
	add(9, 1)
	_, ok = c.Get(id, now)
	require.False(t, ok, "two with one sequence: both are dropped")
	add(9, 9)
	_, ok = c.Get(id, now)
	require.False(t, ok, "and stay dropped")
	add(10, 2)
	got, ok = c.Get(id, now)
	require.True(t, ok)
	require.Equal(t, 2, got.CPU)
}

// Whoever hands an offer on can pad its envelope; that must not look like a
// second offer with the same sequence, and so cancel the first.
func TestAPaddedEnvelopeCancelsNothing(t *testing.T) {
	key, id := newKey(t)
	sealed := seal(t, sample(id), key)
	padded := protowire.AppendBytes(protowire.AppendTag(append([]byte(nil), sealed...), 99, protowire.BytesType), []byte("x"))
	again, err := offer.Open(padded, "test", now)
	require.NoError(t, err)
	c := newCache(t, 4)
	c.Add(sample(id), sealed)
	c.Add(again, padded)
	_, ok := c.Get(id, now)
	require.True(t, ok)
}

func TestTheCacheIsBoundedAndForgetsWhatRanOut(t *testing.T) {
	c := newCache(t, 3)
	var last peer.ID
	for range 5 {
		key, id := newKey(t)
		c.Add(sample(id), seal(t, sample(id), key))
		last = id
	}
	offers, sealed := c.Fresh(now, 10)
	require.Len(t, offers, 3)
	require.Len(t, sealed, 3)
	require.Equal(t, last, offers[0].Peer, "the newest first")
	offers, _ = c.Fresh(now, 2)
	require.Len(t, offers, 2)
	offers, _ = c.Fresh(now.Add(offer.Validity), 10)
	require.Empty(t, offers)
}

type shelf struct{ sealed [][]byte }

func (s shelf) SealedOffers(_ context.Context, limit int) ([][]byte, error) {
	return s.sealed[:min(limit, len(s.sealed))], nil
}

func TestAskLeavesOutWhatDoesNotCheck(t *testing.T) {
	net, err := mocknet.FullMeshConnected(2)
	require.NoError(t, err)
	defer func() { require.NoError(t, net.Close()) }()
	hosts := net.Hosts()
	key, id := newKey(t)
	o := sample(id)
	o.ExpiresAt = time.Now().Add(offer.Validity).Truncate(time.Millisecond)
	good := seal(t, o, key)
	serve := func(sealed ...[]byte) *wire.Dispatcher {
		d := wire.NewDispatcher(hosts[0], wire.Strangers{}, slog.New(slog.DiscardHandler))
		offer.Serve(d, "test", shelf{sealed})
		return d
	}
	d := serve([]byte("noise"), good, seal(t, sample(id), key))
	offers, sealed, err := offer.Ask(t.Context(), hosts[1], hosts[0].ID(), "test", 10)
	require.NoError(t, err)
	require.Equal(t, []offer.Offer{o}, offers)
	require.Equal(t, [][]byte{good}, sealed)
	_, _, err = offer.Ask(t.Context(), hosts[1], hosts[0].ID(), "other", 10)
	require.True(t, wire.IsCode(err, wire.WrongNetwork), "%v", err)
	d.Close()
	d = serve([]byte("noise"), make([]byte, offer.MaxBytes+1))
	defer d.Close()
	_, _, err = offer.Ask(t.Context(), hosts[1], hosts[0].ID(), "test", 10)
	require.ErrorIs(t, err, offer.ErrInvalid)
}

func FuzzOpen(f *testing.F) {
	key, id := newKey(f)
	f.Add(seal(f, sample(id), key))
	f.Add([]byte{})
	f.Add([]byte("\x0a\x02\x08\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		o, err := offer.Open(b, "test", now)
		if err != nil {
			return
		}
		if o.Network != "test" || len(o.Addrs) > offer.MaxAddrs || o.Memory < 0 || o.Tick <= 0 {
			t.Fatalf("took %+v", o)
		}
	})
}
