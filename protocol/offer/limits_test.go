package offer_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/record"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"souk/internal/limit/limittest"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// opened tries an offer that is good but for what change makes of it.
func opened(want error, change func(o *offer.Offer, n int)) limittest.Probe {
	return func(t *testing.T, n int64) error {
		key, id := newKey(t)
		o := sample(id)
		change(&o, int(n))
		_, err := offer.Open(seal(t, o, key), "test", now)
		if err != nil {
			require.ErrorIs(t, err, want)
		}
		return err
	}
}

func TestLimits(t *testing.T) {
	limittest.Run(t, offer.LimitRows(), map[string]limittest.Probe{
		"offer": func(t *testing.T, n int64) error {
			key, id := newKey(t)
			sealed := seal(t, sample(id), key)
			padding := int(n) - len(sealed) - protowire.SizeTag(99) - 2 // of the length of what is padded
			sealed = protowire.AppendBytes(protowire.AppendTag(sealed, 99, protowire.BytesType), make([]byte, padding))
			require.Len(t, sealed, int(n))
			_, err := offer.Open(sealed, "test", now)
			return err
		},
		"addresses in an offer": func(t *testing.T, n int64) error {
			return openedRaw(t, func(p *pb.Offer) {
				for len(p.Addresses) < int(n) {
					p.Addresses = append(p.Addresses, p.Addresses[0])
				}
			})
		},
		"kinds of device in an offer": opened(offer.ErrInvalid, func(o *offer.Offer, n int) {
			o.Devices = nil
			for range n {
				o.Devices = append(o.Devices, offer.Device{Device: market.Device{Model: "x", Slug: "x", Count: 1, Evidence: market.Claimed}})
			}
		}),
		"executors in an offer":       opened(offer.ErrInvalid, func(o *offer.Offer, n int) { o.Executors = strings.Split(strings.Repeat("x", n), "") }),
		"word in an offer":            opened(offer.ErrInvalid, func(o *offer.Offer, n int) { o.Devices[0].Model = strings.Repeat("x", n) }),
		"validity of an offer, ahead": opened(offer.ErrAhead, func(o *offer.Offer, n int) { o.ExpiresAt = now.Add(time.Duration(n) * time.Millisecond) }),
		"difference of two clocks":    opened(offer.ErrExpired, func(o *offer.Offer, n int) { o.ExpiresAt = now.Add(-time.Duration(n) * time.Millisecond) }),
		"measurements in an offer": func(t *testing.T, n int64) error {
			return openedRaw(t, func(p *pb.Offer) {
				kind := p.Devices[0]
				p.Devices = nil
				for range n {
					p.Devices = append(p.Devices, kind)
				}
			})
		},
		"offers in an answer": answered,
		"age of a measurement": func(t *testing.T, n int64) error {
			key, id := newKey(t)
			return measure(t, id, key, now.Add(-time.Duration(n)*time.Millisecond)).Verify("test", now)
		},
		"measurements of one kind of device in an offer": func(t *testing.T, n int64) error {
			key, id := newKey(t)
			var all []offer.Measurement
			for range n {
				all = append(all, measure(t, id, key, now))
			}
			_, err := offer.Open(seal(t, measured(t, id, all...), key), "test", now)
			return err
		},
	})
}

// written is an offer as another implementation writes it, which may not cut
// it to its limits.
type written struct{ pb.Offer }

func (*written) Domain() string                   { return "souk-offer" }
func (*written) Codec() []byte                    { return []byte("/souk/offer/1") }
func (w *written) MarshalRecord() ([]byte, error) { return proto.Marshal(&w.Offer) }
func (w *written) UnmarshalRecord(b []byte) error { return proto.Unmarshal(b, &w.Offer) }

// openedRaw tries an offer of a measured device that change is done to.
func openedRaw(t *testing.T, change func(*pb.Offer)) error {
	key, id := newKey(t)
	o := measured(t, id, measure(t, id, key, now))
	env, err := record.UnmarshalEnvelope(seal(t, o, key))
	require.NoError(t, err)
	var w written
	require.NoError(t, proto.Unmarshal(env.RawPayload, &w.Offer))
	change(&w.Offer)
	env, err = record.Seal(&w, key)
	require.NoError(t, err)
	sealed, err := env.Marshal()
	require.NoError(t, err)
	require.LessOrEqual(t, len(sealed), offer.MaxBytes)
	_, err = offer.Open(sealed, "test", now)
	if err != nil {
		require.ErrorIs(t, err, offer.ErrInvalid)
	}
	return err
}

// answered tells whether n offers arrive of a peer that has more.
func answered(t *testing.T, n int64) error {
	net, err := mocknet.FullMeshConnected(2)
	require.NoError(t, err)
	defer func() { require.NoError(t, net.Close()) }()
	var all shelf
	for range 2 * offer.MaxAnswer {
		key, id := newKey(t)
		o := sample(id)
		o.ExpiresAt = time.Now().Add(offer.Validity)
		all.sealed = append(all.sealed, seal(t, o, key))
	}
	d := wire.NewDispatcher(net.Hosts()[0], wire.Strangers{}, slog.New(slog.DiscardHandler))
	offer.Serve(d, "test", all)
	defer d.Close()
	offers, _, err := offer.Ask(t.Context(), net.Hosts()[1], net.Hosts()[0].ID(), "test", int(n))
	require.NoError(t, err)
	return limittest.Refused(len(offers) == int(n))
}
