//go:build cgo

package fastkey

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	curve "github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/ethereum/go-ethereum/crypto/secp256k1"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
)

// Install has libp2p read keys as those of this package from here on. It is
// called once, before anything else uses libp2p.
func Install() {
	crypto.PubKeyUnmarshallers[pb.KeyType_Secp256k1] = public
	crypto.PrivKeyUnmarshallers[pb.KeyType_Secp256k1] = private
}

const half = 32 // bytes of each number in a signature

type privateKey struct {
	crypto.PrivKey // for what computes nothing
	raw            []byte
	pub            crypto.PubKey
}

// private reads a private key.
func private(raw []byte) (crypto.PrivKey, error) {
	plain, err := crypto.UnmarshalSecp256k1PrivateKey(raw)
	if err != nil {
		return nil, err
	}
	k := &privateKey{PrivKey: plain, raw: append([]byte(nil), raw...)}
	if k.pub, err = publicOf(k.raw); err != nil {
		return nil, fmt.Errorf("read a secp256k1 private key: %w", err)
	}
	return k, nil
}

// publicOf recovers a private key's public key from a signature of it.
func publicOf(raw []byte) (crypto.PubKey, error) {
	var digest [half]byte
	sig, err := secp256k1.Sign(digest[:], raw)
	if err != nil {
		return nil, err
	}
	whole, err := secp256k1.RecoverPubkey(digest[:], sig)
	if err != nil {
		return nil, err
	}
	return public(whole)
}

// GetPublic implements crypto.PrivKey.
func (k *privateKey) GetPublic() crypto.PubKey { return k.pub }

// Equals implements crypto.Key.
func (k *privateKey) Equals(o crypto.Key) bool {
	raw, err := o.Raw()
	return err == nil && o.Type() == k.Type() && subtle.ConstantTimeCompare(raw, k.raw) == 1
}

// Sign implements crypto.PrivKey: SHA-256, RFC 6979, low s, DER.
func (k *privateKey) Sign(data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	sig, err := secp256k1.Sign(digest[:], k.raw)
	if err != nil {
		return nil, fmt.Errorf("sign with a secp256k1 key: %w", err)
	}
	var r, s curve.ModNScalar
	r.SetByteSlice(sig[:half])
	s.SetByteSlice(sig[half : 2*half])
	return ecdsa.NewSignature(&r, &s).Serialize(), nil
}

type publicKey struct {
	crypto.PubKey // for what computes nothing
	raw           []byte
}

// public reads a public key.
func public(raw []byte) (crypto.PubKey, error) {
	plain, err := crypto.UnmarshalSecp256k1PublicKey(raw)
	if err != nil {
		return nil, err
	}
	k := &publicKey{PubKey: plain}
	k.raw, err = plain.Raw() // compressed, however it came
	return k, err
}

// Verify implements crypto.PubKey. A high s counts as libp2p counts it.
func (k *publicKey) Verify(data, sig []byte) (bool, error) {
	parsed, err := ecdsa.ParseDERSignature(sig)
	if err != nil {
		return false, err
	}
	r, s := parsed.R(), parsed.S()
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	var both [2 * half]byte
	r.PutBytesUnchecked(both[:half])
	s.PutBytesUnchecked(both[half:])
	digest := sha256.Sum256(data)
	return secp256k1.VerifySignature(k.raw, digest[:], both[:]), nil
}
