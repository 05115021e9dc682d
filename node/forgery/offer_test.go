package forgery

import (
	"bytes"
	"time"

	lcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	recordpb "github.com/libp2p/go-libp2p/core/record/pb"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/offer"
)

var now = time.UnixMilli(1_700_000_000_000)

func (w *world) offered() offer.Offer {
	return offer.Offer{
		Network: w.b.Network, Peer: markettest.Must(peer.IDFromPrivateKey(key(1))), Sequence: w.rng.Uint64(), ExpiresAt: now.Add(offer.Validity),
		CPU: 8, Memory: 16 << 30, Disk: 1 << 40, Executors: []string{"wasm"}, Region: "eu", PricePerHour: market.NewAmount(w.rng.Uint64()),
		Settlement: "none", Chain: w.b.Chain, Tick: time.Minute, MaxTime: time.Hour,
	}
}

// open seals an offer and has it read, after a change if there is one.
func open(w *world, o offer.Offer, by lcrypto.PrivKey, change func([]byte) []byte) error {
	sealed := markettest.Must(offer.Seal(o, by))
	if change != nil {
		sealed = change(sealed)
	}
	_, err := offer.Open(sealed, w.b.Network, now)
	return err
}

// resealed changes an envelope.
func resealed(change func(e *recordpb.Envelope)) func([]byte) []byte {
	return func(b []byte) []byte {
		var e recordpb.Envelope
		if err := proto.Unmarshal(b, &e); err != nil {
			panic(err)
		}
		change(&e)
		return markettest.Must(proto.Marshal(&e))
	}
}

func offerKinds() []kind {
	says := func(name string, want error, change func(w *world, o *offer.Offer)) kind {
		return kind{"offer: " + name, is(want), func(w *world) error {
			o := w.offered()
			change(w, &o)
			return open(w, o, key(1), nil)
		}}
	}
	sealed := func(name string, change func(w *world, b []byte) []byte) kind {
		return kind{"offer: " + name, is(offer.ErrInvalid), func(w *world) error {
			return open(w, w.offered(), key(1), func(b []byte) []byte { return change(w, b) })
		}}
	}
	return []kind{
		says("for another network", offer.ErrOtherNetwork, func(_ *world, o *offer.Offer) { o.Network += "x" }),
		says("expired", offer.ErrExpired, func(w *world, o *offer.Offer) {
			o.ExpiresAt = now.Add(-offer.Tolerance - time.Duration(1+w.rng.IntN(1e6))*time.Millisecond)
		}),
		says("valid for too long", offer.ErrAhead, func(w *world, o *offer.Offer) {
			o.ExpiresAt = now.Add(offer.Validity + offer.Tolerance + time.Duration(1+w.rng.IntN(1e6))*time.Millisecond)
		}),
		says("about another peer", offer.ErrInvalid, func(_ *world, o *offer.Offer) { o.Peer = markettest.Must(peer.IDFromPrivateKey(key(2))) }),
		says("of more than there is", offer.ErrInvalid, func(_ *world, o *offer.Offer) { o.CPU = market.MaxCPU + 1 }),
		{"offer: sealed by another", is(offer.ErrInvalid), func(w *world) error { return open(w, w.offered(), key(2), nil) }},
		sealed("cut", func(w *world, b []byte) []byte { return w.cut(b) }),
		sealed("padded", func(w *world, b []byte) []byte { return w.padded(b) }),
		sealed("padded beyond 2 KiB", func(_ *world, b []byte) []byte { return append(b, bytes.Repeat([]byte{0x7a, 0}, offer.MaxBytes/2)...) }),
		sealed("a changed payload", func(w *world, b []byte) []byte {
			return resealed(func(e *recordpb.Envelope) { e.Payload[w.rng.IntN(len(e.Payload))] ^= 1 << w.rng.IntN(8) })(b)
		}),
		sealed("another key", func(_ *world, b []byte) []byte {
			return resealed(func(e *recordpb.Envelope) {
				e.PublicKey = markettest.Must(lcrypto.PublicKeyToProto(key(2).GetPublic()))
			})(b)
		}),
		sealed("another type", func(_ *world, b []byte) []byte {
			return resealed(func(e *recordpb.Envelope) { e.PayloadType = []byte("/souk/offer/2") })(b)
		}),
		sealed("another domain", func(_ *world, b []byte) []byte {
			var e recordpb.Envelope
			_ = proto.Unmarshal(b, &e)
			return markettest.Must(markettest.Must(record.Seal(&foreign{e.GetPayload()}, key(1))).Marshal())
		}),
	}
}

// foreign is an offer's bytes under a domain that isn't that of offers.
type foreign struct{ payload []byte }

func (*foreign) Domain() string                   { return "libp2p-peer-record" }
func (*foreign) Codec() []byte                    { return []byte("/souk/offer/1") }
func (f *foreign) MarshalRecord() ([]byte, error) { return f.payload, nil }
func (f *foreign) UnmarshalRecord(b []byte) error { f.payload = b; return nil }
