package forgery

import (
	"bytes"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

// subject is who should sign what.
type subject struct {
	by, peer *market.Signer // peer is the other side of the lease
	digest   func(market.Chain) market.Hash
	hash     market.Hash // what the digest is of
	other    market.Hash // the digest of another document that was signed by the same
}

func (s subject) signed(w *world) []byte { return sig(s.by, s.digest(w.b.Chain)) }

func sig(by *market.Signer, digest market.Hash) []byte {
	s := markettest.Sign(by, digest)
	return s[:]
}

// spoiled is a way to have another signature than the right one.
type spoiled struct {
	name  string
	want  error
	spoil func(w *world, s subject) []byte
}

func spoils() []spoiled {
	with := func(change func(w *world, sig []byte) []byte) func(*world, subject) []byte {
		return func(w *world, s subject) []byte { return change(w, s.signed(w)) }
	}
	const noted = 27
	return []spoiled{
		{"high s", market.ErrSignature, with(func(_ *world, b []byte) []byte { return highS(b) })},
		{"v of 0 or 1", market.ErrSignature, with(func(_ *world, b []byte) []byte { b[64] -= noted; return b })},
		{"v from 29 on", market.ErrSignature, with(func(w *world, b []byte) []byte { b[64] = byte(29 + w.rng.IntN(227)); return b })},
		{"the other v", market.ErrSignature, with(func(_ *world, b []byte) []byte { b[64] ^= 27 ^ 28; return b })},
		{"a changed bit", market.ErrSignature, with(func(w *world, b []byte) []byte { b[w.rng.IntN(64)] ^= 1 << w.rng.IntN(8); return b })},
		{"zeros", market.ErrSignature, with(func(*world, []byte) []byte { return make([]byte, 65) })},
		{"r and s swapped", market.ErrSignature, with(func(_ *world, b []byte) []byte { return append(append(bytes.Clone(b[32:64]), b[:32]...), b[64]) })},
		{"cut", market.ErrLength, with(func(w *world, b []byte) []byte { return b[:1+w.rng.IntN(64)] })},
		{"padded", market.ErrLength, with(func(w *world, b []byte) []byte { return w.padded(b) })},
		{"none", market.ErrLength, with(func(*world, []byte) []byte { return nil })},
		{"a stranger's", market.ErrSignature, func(w *world, s subject) []byte { return sig(w.stranger, s.digest(w.b.Chain)) }},
		{"the other side's", market.ErrSignature, func(w *world, s subject) []byte { return sig(s.peer, s.digest(w.b.Chain)) }},
		{"of another network", market.ErrSignature, func(w *world, s subject) []byte { return sig(s.by, s.digest(w.otherNetwork())) }},
		{"of another chain", market.ErrSignature, func(w *world, s subject) []byte { return sig(s.by, s.digest(w.otherChain())) }},
		{"without a domain", market.ErrSignature, func(_ *world, s subject) []byte { return sig(s.by, s.hash) }},
		{"on another document", market.ErrSignature, func(_ *world, s subject) []byte { return sig(s.by, s.other) }},
	}
}

// highS is the other signature that verifies where nobody looks at s.
func highS(b []byte) []byte {
	s := new(big.Int).SetBytes(b[32:64])
	new(big.Int).Sub(crypto.S256().Params().N, s).FillBytes(b[32:64])
	b[64] ^= 27 ^ 28
	return b
}
