package market_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	lcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

func TestASignatureIsItsSignersAndNobodyElses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, s := drawHash(t), markettest.Signer(1)
		sig := markettest.Sign(s, h)
		require.NoError(t, sig.Verify(h, s.Address()))
		require.ErrorIs(t, sig.Verify(h, markettest.Signer(2).Address()), market.ErrSignature)
		require.Equal(t, sig, markettest.Sign(s, h), "the same digest, the same signature")

		bit := rapid.IntRange(0, 65*8-1).Draw(t, "bit")
		sig[bit/8] ^= 1 << (bit % 8)
		require.ErrorIs(t, sig.Verify(h, s.Address()), market.ErrSignature)
	})
}

func TestASignatureCannotBeMalleated(t *testing.T) {
	s, h := markettest.Signer(1), market.Hash{1}
	good := markettest.Sign(s, h)
	for _, v := range []byte{0, 1, 29, 35, 255, 27 + 28 - good[64]} {
		bad := good
		bad[64] = v
		require.ErrorIs(t, bad.Verify(h, s.Address()), market.ErrSignature, "v %d", v)
	}
	// The twin in the upper half recovers to the same key, so only the rule on s refuses it.
	twin := good
	order := crypto.S256().Params().N
	new(big.Int).Sub(order, new(big.Int).SetBytes(good[32:64])).FillBytes(twin[32:64])
	twin[64] = 27 + 28 - good[64]
	raw := twin
	raw[64] -= 27
	pub, err := crypto.SigToPub(h[:], raw[:])
	require.NoError(t, err)
	require.Equal(t, s.Address(), market.Address(crypto.PubkeyToAddress(*pub)))
	require.ErrorIs(t, twin.Verify(h, s.Address()), market.ErrSignature)
	require.ErrorIs(t, market.Signature{64: 27}.Verify(h, market.Address{}), market.ErrSignature)
	require.ErrorIs(t, market.Signature{}.Verify(h, market.Address{}), market.ErrSignature)
}

func TestTheLargestLowSIsStillASignature(t *testing.T) {
	half := new(big.Int).Rsh(crypto.S256().Params().N, 1)
	sig := markettest.Sign(markettest.Signer(1), market.Hash{1})
	half.FillBytes(sig[32:64])
	_, err := sig.Recover(market.Hash{1})
	require.NoError(t, err)
	half.Add(half, big.NewInt(1)).FillBytes(sig[32:64])
	_, err = sig.Recover(market.Hash{1})
	require.ErrorIs(t, err, market.ErrSignature)
}

func TestAPeerIDTellsWhoSigns(t *testing.T) {
	key, pub, err := lcrypto.GenerateSecp256k1Key(nil)
	require.NoError(t, err)
	s, err := market.NewSigner(key)
	require.NoError(t, err)
	id, err := peer.IDFromPublicKey(pub)
	require.NoError(t, err)
	a, err := market.AddressOf(id)
	require.NoError(t, err)
	require.Equal(t, s.Address(), a)
}

func TestOtherKeysCannotTrade(t *testing.T) {
	key, pub, err := lcrypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	_, err = market.NewSigner(key)
	require.ErrorIs(t, err, market.ErrKeyType)
	id, err := peer.IDFromPublicKey(pub)
	require.NoError(t, err)
	_, err = market.AddressOf(id)
	require.ErrorIs(t, err, market.ErrKeyType)

	_, err = market.AddressOf("")
	require.Error(t, err)
	hashed, err := mh.Sum([]byte("an RSA key is not in its peer ID"), mh.SHA2_256, -1)
	require.NoError(t, err)
	_, err = market.AddressOf(peer.ID(hashed))
	require.ErrorIs(t, err, market.ErrKeyType)
}

// A peer ID around the uncompressed form of a key would be a second name for one address.
func TestAPeerIDInAnotherEncodingIsRefused(t *testing.T) {
	key, err := crypto.ToECDSA(append(make([]byte, 31), 5))
	require.NoError(t, err)
	uncompressed := crypto.FromECDSAPub(&key.PublicKey)
	proto := append([]byte{0x08, 0x02, 0x12, byte(len(uncompressed))}, uncompressed...)
	id, err := mh.Sum(proto, mh.IDENTITY, -1)
	require.NoError(t, err)
	_, err = market.AddressOf(peer.ID(id))
	require.ErrorIs(t, err, market.ErrKeyType)
	lying := append([]byte{0x00, 0x25, 0x08, 0x02, 0x12, 0x21}, uncompressed...) // with the lengths of the one encoding
	_, err = market.AddressOf(peer.ID(lying))
	require.ErrorIs(t, err, market.ErrKeyType)
}

func TestAPeerIDAroundNoPointOfTheCurveIsRefused(t *testing.T) {
	_, pub, err := lcrypto.GenerateSecp256k1Key(nil)
	require.NoError(t, err)
	id, err := peer.IDFromPublicKey(pub)
	require.NoError(t, err)
	none := []byte(id)
	for i := range 32 { // no x above the field's prime is one
		none[len(none)-1-i] = 0xff
	}
	for _, bad := range [][]byte{none, []byte(id)[:len(id)-1], append([]byte(id), 0)} {
		_, err = market.AddressOf(peer.ID(bad))
		require.ErrorIs(t, err, market.ErrKeyType)
	}
}

func TestHexHasTheRightLength(t *testing.T) {
	h := market.Hash{0: 0xab}
	for _, s := range []string{h.String(), h.Hex()} {
		got, err := market.ParseHash(s)
		require.NoError(t, err)
		require.Equal(t, h, got)
	}
	for _, s := range []string{"", "0x", "0x00", h.Hex() + "00", "zz" + h.Hex()[2:]} {
		_, err := market.ParseHash(s)
		require.Error(t, err, s)
	}
	_, err := market.SignatureFrom(make([]byte, 64))
	require.ErrorIs(t, err, market.ErrLength)
	_, err = market.AddressFrom(make([]byte, 32))
	require.ErrorIs(t, err, market.ErrLength)
	_, err = market.HashFrom(nil)
	require.ErrorIs(t, err, market.ErrLength)

	a := markettest.Signer(1).Address()
	var back market.Address
	require.NoError(t, json.Unmarshal(markettest.Must(json.Marshal(a)), &back))
	require.Equal(t, a, back)
	require.Error(t, json.Unmarshal([]byte(`"0x12"`), &back))
}
