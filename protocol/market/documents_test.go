package market_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

// codec decodes one kind of document and encodes it again.
type codec struct {
	words  int
	decode func([]byte) (document, error)
	draw   func(*rapid.T) document
}

func kind[T document](words int, decode func([]byte) (T, error), draw func(*rapid.T) T) codec {
	return codec{words, func(b []byte) (document, error) { return decode(b) }, func(t *rapid.T) document { return draw(t) }}
}

func codecs() map[string]codec {
	return map[string]codec{
		"quote":   kind(14, market.DecodeQuote, drawQuote),
		"lease":   kind(2, market.DecodeLease, func(t *rapid.T) market.Lease { return market.Lease{QuoteHash: drawHash(t), JobHash: drawHash(t)} }),
		"receipt": kind(7, market.DecodeReceipt, drawReceipt),
		"voucher": kind(2, market.DecodeVoucher, func(t *rapid.T) market.Voucher { return market.Voucher{Channel: drawHash(t), Max: drawAmount(t)} }),
		"channel": kind(7, market.DecodeChannelConfig, drawConfig),
	}
}

func drawHash(t *rapid.T) market.Hash {
	return market.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
}

func drawAddress(t *rapid.T) market.Address {
	return market.Address(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "address"))
}

func drawQuote(t *rapid.T) market.Quote {
	u64, u32 := rapid.Uint64(), rapid.Uint32()
	return market.Quote{
		RequestHash: drawHash(t), TermsHash: drawHash(t), Provider: drawAddress(t), Client: drawAddress(t), Channel: drawHash(t),
		Unit: rapid.Byte().Draw(t, "unit"), TickUnits: u64.Draw(t, "tickUnits"), TickPrice: drawAmount(t), MaxTicks: u32.Draw(t, "maxTicks"),
		MinCharge: drawAmount(t), MaxMillis: u64.Draw(t, "maxMillis"), StartBy: u64.Draw(t, "startBy"), ExpiresAt: u64.Draw(t, "expiresAt"), Nonce: drawHash(t),
	}
}

func drawReceipt(t *rapid.T) market.Receipt {
	return market.Receipt{
		Lease: drawHash(t), Seq: rapid.Uint32().Draw(t, "seq"), Previous: drawHash(t), Units: rapid.Uint64().Draw(t, "units"),
		Charged: drawAmount(t), Outcome: market.Outcome(rapid.Byte().Draw(t, "outcome")), BodyHash: drawHash(t),
	}
}

func drawConfig(t *rapid.T) market.ChannelConfig {
	return market.ChannelConfig{
		Payer: drawAddress(t), PayerAuthorizer: drawAddress(t), Receiver: drawAddress(t), ReceiverAuthorizer: drawAddress(t),
		Token: drawAddress(t), WithdrawDelay: rapid.Uint64Range(0, 1<<40-1).Draw(t, "delay"), Salt: drawHash(t),
	}
}

func TestDocumentsDecodeToWhatWasEncoded(t *testing.T) {
	for name, c := range codecs() {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			want := c.draw(t)
			block := want.Encode()
			require.Len(t, block, 32*(c.words+1))
			got, err := c.decode(block)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}))
	}
}

// Whatever a decoder accepts is the one encoding of it.
func TestOneDocumentHasOneEncoding(t *testing.T) {
	for name, c := range codecs() {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			block := c.draw(t).Encode()
			at := rapid.IntRange(0, len(block)-1).Draw(t, "at")
			block[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if got, err := c.decode(block); err == nil {
				require.Equal(t, block, got.Encode())
			} else {
				require.ErrorIs(t, err, market.ErrEncoding)
			}
		}))
	}
}

func TestBlocksOfOtherLengthsAndTypesAreRefused(t *testing.T) {
	for name, c := range codecs() {
		block := make([]byte, 32*(c.words+1))
		_, err := c.decode(block)
		require.ErrorIs(t, err, market.ErrEncoding, "%s without its type hash", name)
		for other, o := range codecs() {
			if other == name {
				continue
			}
			rapid.Check(t, func(t *rapid.T) {
				_, err := c.decode(o.draw(t).Encode())
				require.ErrorIs(t, err, market.ErrEncoding, "%s read as %s", other, name)
			})
		}
	}
	good := market.Lease{}.Encode()
	for _, b := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0)} {
		_, err := market.DecodeLease(b)
		require.ErrorIs(t, err, market.ErrEncoding)
	}
}

func TestNumbersAboveTheirTypeAreRefused(t *testing.T) {
	// word counts from 1; bytes is how many a field of it may use.
	for name, c := range map[string]struct {
		codec string
		word  int
		bytes int
	}{
		"provider": {"quote", 3, 20}, "unit": {"quote", 6, 1}, "tickUnits": {"quote", 7, 8}, "tickPrice": {"quote", 8, 16},
		"maxTicks": {"quote", 9, 4}, "expiresAt": {"quote", 13, 8}, "seq": {"receipt", 2, 4}, "outcome": {"receipt", 6, 1},
		"charged": {"receipt", 5, 16}, "max": {"voucher", 2, 16}, "token": {"channel", 5, 20}, "withdrawDelay": {"channel", 6, 5},
	} {
		k := codecs()[c.codec]
		rapid.Check(t, func(t *rapid.T) {
			block := k.draw(t).Encode()
			block[32*(c.word+1)-1-c.bytes] = 1
			got, err := k.decode(block)
			require.ErrorIs(t, err, market.ErrEncoding, name)
			require.Zero(t, got, "nothing is half decoded")
		})
	}
}

func TestWhatIsSignedOnOneNetworkOrChainMeansNothingOnAnother(t *testing.T) {
	s, h := markettest.Signer(1), market.Hash{1}
	chains := []market.Chain{market.NoChain("a"), market.NoChain("b"), {ID: 1}, {ID: 2}, {ID: 1, Contract: market.Address{1}}}
	for i, signed := range chains {
		sig := markettest.Sign(s, signed.Digest(h))
		for j, read := range chains {
			require.Equal(t, i == j, sig.Verify(read.Digest(h), s.Address()) == nil, "%d %d", i, j)
		}
	}
	v := market.Voucher{Channel: h}
	require.NotEqual(t, chains[0].Digest(v.Hash()), chains[0].VoucherDigest(v), "two domains")
	cfg := market.ChannelConfig{}
	require.NotEqual(t, chains[0].ChannelID(cfg), chains[1].ChannelID(cfg))
}

func fuzzDecoder(f *testing.F, name string) {
	c := codecs()[name]
	for _, v := range vectors() {
		f.Add(markettest.Must(hex.DecodeString(v.Preimage)))
	}
	f.Add(rapid.Custom(c.draw).Example(1).Encode())
	f.Add(make([]byte, 32*(c.words+1)))
	f.Fuzz(func(t *testing.T, block []byte) {
		fuzztest.Bound(t)
		d, err := c.decode(block)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(), block) {
			t.Fatalf("%x is read and written as %x", block, d.Encode())
		}
	})
}

func FuzzQuote(f *testing.F)         { fuzzDecoder(f, "quote") }
func FuzzLease(f *testing.F)         { fuzzDecoder(f, "lease") }
func FuzzReceipt(f *testing.F)       { fuzzDecoder(f, "receipt") }
func FuzzVoucher(f *testing.F)       { fuzzDecoder(f, "voucher") }
func FuzzChannelConfig(f *testing.F) { fuzzDecoder(f, "channel") }
