package market

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/holiman/uint256"
	lcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Signature is r, s and v, with v 27 or 28 and s in the lower half.
type Signature [65]byte

// Reasons why a signature or a key is refused.
var (
	ErrSignature = errors.New("signature does not verify")
	ErrKeyType   = errors.New("a trading node's key must be secp256k1")
)

// halfOrder is half of the secp256k1 group order; a larger s is malleated.
var halfOrder = uint256.MustFromHex("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")

// SignatureFrom reads exactly 65 bytes. An empty slice is an error too.
func SignatureFrom(b []byte) (Signature, error) {
	if len(b) != len(Signature{}) {
		return Signature{}, fmt.Errorf("signature: %w: %d bytes, 65 wanted", ErrLength, len(b))
	}
	return Signature(b), nil
}

// IsZero tells that there is no signature.
func (s Signature) IsZero() bool { return s == Signature{} }

// String is 0x and 130 hex digits.
func (s Signature) String() string { return "0x" + hex.EncodeToString(s[:]) }

// Signer signs documents with a node's key.
type Signer struct {
	key     [32]byte
	address Address
}

// NewSigner makes a signer of a libp2p secp256k1 private key.
func NewSigner(key lcrypto.PrivKey) (*Signer, error) {
	if key.Type() != pb.KeyType_Secp256k1 {
		return nil, fmt.Errorf("%w, this one is %s", ErrKeyType, key.Type())
	}
	raw, err := key.Raw()
	if err != nil {
		return nil, err
	}
	s := &Signer{}
	if copy(s.key[:], raw) != len(raw) {
		return nil, fmt.Errorf("%w: %d bytes", ErrKeyType, len(raw))
	}
	pub, err := key.GetPublic().Raw()
	if err != nil {
		return nil, err
	}
	s.address, err = addressOf(pub)
	return s, err
}

// Address is the address that the signatures recover to.
func (s *Signer) Address() Address { return s.address }

// Sign signs a digest. The same digest always gets the same signature (RFC 6979).
func (s *Signer) Sign(digest Hash) (Signature, error) {
	sig, err := signRecoverable(digest, s.key)
	if err != nil {
		return Signature{}, err
	}
	sig[64] += 27
	return Signature(sig), nil
}

// Recover gives the address that signed a digest.
func (s Signature) Recover(digest Hash) (Address, error) {
	v := s[64]
	if v != 27 && v != 28 {
		return Address{}, fmt.Errorf("%w: v is %d, not 27 or 28", ErrSignature, v)
	}
	if new(uint256.Int).SetBytes32(s[32:64]).Gt(halfOrder) {
		return Address{}, fmt.Errorf("%w: s is in the upper half", ErrSignature)
	}
	s[64] -= 27
	pub, err := recoverKey(digest, s)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return addressFrom(pub), nil
}

// Verify checks that want signed digest.
func (s Signature) Verify(digest Hash, want Address) error {
	got, err := s.Recover(digest)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%w: it is %s's, not %s's", ErrSignature, got, want)
	}
	return nil
}

// inlined is what a peer ID has before a compressed secp256k1 public key: the
// identity as its hash, its length, and libp2p's protobuf of a key of that kind.
const inlined = "\x00\x25\x08\x02\x12\x21"

// AddressOf is the address that signs a peer's documents. The peer ID must
// have a secp256k1 public key inlined, in the one encoding that libp2p gives it.
func AddressOf(p peer.ID) (Address, error) {
	raw, found := strings.CutPrefix(string(p), inlined)
	if !found || len(raw) != compressedKey {
		return Address{}, fmt.Errorf("peer %s: %w, inlined in its one encoding", p.ShortString(), ErrKeyType)
	}
	return addressOf([]byte(raw))
}

const compressedKey = 33 // bytes

// addressOf is the address of a compressed public key.
func addressOf(pub []byte) (Address, error) {
	key, err := decompress(pub)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %w", ErrKeyType, err)
	}
	return addressFrom(key), nil
}

// addressFrom is the address of an uncompressed public key: 4, x and y.
func addressFrom(pub []byte) Address {
	h := keccak(pub[1:])
	return Address(h[len(h)-len(Address{}):])
}
