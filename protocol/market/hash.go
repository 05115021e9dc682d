package market

import (
	"encoding/hex"
	"errors"
	"fmt"

	sha3 "github.com/ethereum/go-ethereum/crypto/keccak"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Hash is 32 bytes: a struct hash (keccak-256) or a block's sha2-256.
type Hash [32]byte

// Address is an Ethereum address.
type Address [20]byte

// ErrLength is a hash, address or signature of the wrong length.
var ErrLength = errors.New("wrong length")

// HashFrom reads exactly 32 bytes.
func HashFrom(b []byte) (Hash, error) {
	if len(b) != len(Hash{}) {
		return Hash{}, fmt.Errorf("hash: %w: %d bytes, 32 wanted", ErrLength, len(b))
	}
	return Hash(b), nil
}

// AddressFrom reads exactly 20 bytes.
func AddressFrom(b []byte) (Address, error) {
	if len(b) != len(Address{}) {
		return Address{}, fmt.Errorf("address: %w: %d bytes, 20 wanted", ErrLength, len(b))
	}
	return Address(b), nil
}

// ParseHash reads 64 hex digits, with or without 0x.
func ParseHash(s string) (Hash, error) {
	b, err := unhex(s)
	if err != nil {
		return Hash{}, err
	}
	return HashFrom(b)
}

func unhex(s string) ([]byte, error) {
	if len(s) > 2 && s[:2] == "0x" {
		s = s[2:]
	}
	return hex.DecodeString(s)
}

// String is 0x and 64 hex digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// Hex is 64 hex digits.
func (h Hash) Hex() string { return hex.EncodeToString(h[:]) }

// IsZero tells whether all bytes are 0.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what ParseHash reads.
func (h *Hash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHash(string(b))
	return err
}

// String is 0x and 40 hex digits.
func (a Address) String() string { return "0x" + hex.EncodeToString(a[:]) }

// MarshalText writes String.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads 40 hex digits, with or without 0x.
func (a *Address) UnmarshalText(b []byte) error {
	raw, err := unhex(string(b))
	if err != nil {
		return err
	}
	*a, err = AddressFrom(raw)
	return err
}

// CID names the EIP-712 document with this struct hash: CIDv1(raw, keccak-256).
func (h Hash) CID() cid.Cid { return cidOf(h, cid.Raw, mh.KECCAK_256) }

// JSONCID names the DAG-JSON document with this sha2-256: CIDv1(dag-json, sha2-256).
func (h Hash) JSONCID() cid.Cid { return cidOf(h, cid.DagJSON, mh.SHA2_256) }

func cidOf(h Hash, codec, hash uint64) cid.Cid {
	m, err := mh.Encode(h[:], hash)
	if err != nil {
		panic(err) // 32 bytes fit both hash functions
	}
	return cid.NewCidV1(codec, m)
}

func keccak(parts ...[]byte) (h Hash) {
	d := sha3.NewLegacyKeccak256()
	for _, p := range parts {
		_, _ = d.Write(p)
	}
	d.Sum(h[:0])
	return h
}
