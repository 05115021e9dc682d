//go:build cgo

package market

import (
	"errors"

	"github.com/ethereum/go-ethereum/crypto/secp256k1"
)

// signRecoverable gives r, s and v, with v 0 or 1, by libsecp256k1, which takes a third of Go's time.
func signRecoverable(digest Hash, key [32]byte) ([]byte, error) {
	return secp256k1.Sign(digest[:], key[:])
}

// recoverKey gives the uncompressed public key that made a signature, whose v is 0 or 1.
func recoverKey(digest Hash, s Signature) ([]byte, error) {
	return secp256k1.RecoverPubkey(digest[:], s[:])
}

// decompress gives the uncompressed form of a public key.
func decompress(pub []byte) ([]byte, error) {
	x, y := secp256k1.DecompressPubkey(pub)
	if x == nil {
		return nil, errors.New("it is no point of the curve")
	}
	return secp256k1.S256().Marshal(x, y), nil
}
