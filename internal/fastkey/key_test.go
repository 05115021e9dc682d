//go:build cgo

package fastkey

import (
	"bytes"
	"crypto/rand"
	"testing"

	curve "github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// both are one key, as libp2p's and as this package's.
func both(t require.TestingT, raw []byte) (theirs, ours crypto.PrivKey) {
	theirs, err := crypto.UnmarshalSecp256k1PrivateKey(raw)
	require.NoError(t, err)
	ours, err = private(raw)
	require.NoError(t, err)
	return theirs, ours
}

func TestKeysAndSignaturesAreLibp2psOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		raw[0] &= 0x7f // below the curve's order
		raw[31] |= 1
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		theirs, ours := both(t, raw)

		want, err := theirs.Sign(data)
		require.NoError(t, err)
		sig, err := ours.Sign(data)
		require.NoError(t, err)
		require.Equal(t, want, sig)
		wantID, err := peer.IDFromPrivateKey(theirs)
		require.NoError(t, err)
		id, err := peer.IDFromPrivateKey(ours)
		require.NoError(t, err)
		require.Equal(t, wantID, id)
		require.True(t, ours.Equals(theirs))
		require.True(t, theirs.Equals(ours))
		require.True(t, ours.GetPublic().Equals(theirs.GetPublic()))
		require.True(t, theirs.GetPublic().Equals(ours.GetPublic()))

		// Both refuse and take the same: the signature, one of other data, cut,
		// extended, with a bit flipped, and its other form.
		at := rapid.IntRange(0, len(sig)*8-1).Draw(t, "bit")
		flipped := bytes.Clone(sig)
		flipped[at/8] ^= 1 << (at % 8)
		for _, s := range [][]byte{sig, sig[:len(sig)-1], append(bytes.Clone(sig), 0), flipped, high(t, sig), nil} {
			for _, d := range [][]byte{data, append([]byte{1}, data...)} {
				want, wantErr := theirs.GetPublic().Verify(d, s)
				got, err := ours.GetPublic().Verify(d, s)
				require.Equal(t, want, got, "%x", s)
				require.Equal(t, wantErr, err, "%x", s)
			}
		}
	})
}

// high is a signature with s negated, which some call malleated.
func high(t require.TestingT, sig []byte) []byte {
	parsed, err := ecdsa.ParseDERSignature(sig)
	require.NoError(t, err)
	r, s := parsed.R(), parsed.S()
	s.Negate()
	number := func(n *curve.ModNScalar) []byte {
		b := n.Bytes()
		text := bytes.TrimLeft(b[:], "\x00")
		if text[0]&0x80 != 0 {
			text = append([]byte{0}, text...)
		}
		return append([]byte{2, byte(len(text))}, text...)
	}
	body := append(number(&r), number(&s)...)
	return append([]byte{0x30, byte(len(body))}, body...)
}

func TestAHighSIsTakenAsLibp2pTakesIt(t *testing.T) {
	theirs, ours := both(t, bytes.Repeat([]byte{7}, 32))
	sig, err := ours.Sign([]byte("data"))
	require.NoError(t, err)
	want, err := theirs.GetPublic().Verify([]byte("data"), high(t, sig))
	require.NoError(t, err)
	require.True(t, want, "libp2p takes it")
	got, err := ours.GetPublic().Verify([]byte("data"), high(t, sig))
	require.NoError(t, err)
	require.True(t, got)
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	for _, raw := range [][]byte{nil, make([]byte, 31), make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)} {
		_, err := private(raw)
		require.Error(t, err, "%x", raw)
	}
	for _, raw := range [][]byte{nil, make([]byte, 33), append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)} {
		_, err := public(raw)
		require.Error(t, err, "%x", raw)
	}
}

func TestLibp2pReadsKeysAsThese(t *testing.T) {
	Install()
	plain, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	require.NoError(t, err)
	text, err := crypto.MarshalPrivateKey(plain)
	require.NoError(t, err)
	key, err := crypto.UnmarshalPrivateKey(text)
	require.NoError(t, err)
	require.IsType(t, &privateKey{}, key)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	pub, err := id.ExtractPublicKey()
	require.NoError(t, err)
	require.IsType(t, &publicKey{}, pub)
	require.True(t, pub.Equals(plain.GetPublic()))
	again, err := crypto.MarshalPrivateKey(key)
	require.NoError(t, err)
	require.Equal(t, text, again)
}
