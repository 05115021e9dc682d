//go:build !cgo

package market

import (
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// compactV is what v 0 is written as where it stands first, for an uncompressed key.
const compactV = 27

// signRecoverable gives r, s and v, with v 0 or 1.
func signRecoverable(digest Hash, key [32]byte) ([]byte, error) {
	k := secp256k1.PrivKeyFromBytes(key[:])
	defer k.Zero()
	sig := ecdsa.SignCompact(k, digest[:], false)
	return append(sig[1:], sig[0]-compactV), nil
}

// recoverKey gives the uncompressed public key that made a signature, whose v is 0 or 1.
func recoverKey(digest Hash, s Signature) ([]byte, error) {
	k, _, err := ecdsa.RecoverCompact(append([]byte{s[64] + compactV}, s[:64]...), digest[:])
	if err != nil {
		return nil, err
	}
	return k.SerializeUncompressed(), nil
}

// decompress gives the uncompressed form of a public key.
func decompress(pub []byte) ([]byte, error) {
	k, err := secp256k1.ParsePubKey(pub)
	if err != nil {
		return nil, err
	}
	return k.SerializeUncompressed(), nil
}
