package challenge

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/modmath"
)

// Parties are who a conversation is between.
type Parties struct {
	Network  string
	Provider peer.ID
	Client   peer.ID
}

// phase keeps the seeds of products apart from those of memory.
type phase string

const (
	productPhase phase = "product"
	memoryPhase  phase = "memory"
)

// seed is SHA-256 of the domain, phase, network, provider, client and nonce,
// each after its length in 4 bytes, and the device's number in 4 bytes, all
// little-endian. So whoever passes a question on to another provider, under
// its own name, gets the answer to another question.
func (p Parties) seed(f phase, nonce []byte, device int) modmath.Seed {
	h := sha256.New()
	for _, part := range [][]byte{[]byte("souk challenge 1"), []byte(f), []byte(p.Network), []byte(p.Provider), []byte(p.Client), nonce} {
		_, _ = h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part)))) //nolint:gosec // short; a hash takes all
		_, _ = h.Write(part)
	}
	_, _ = h.Write(binary.LittleEndian.AppendUint32(nil, uint32(device))) //nolint:gosec // at most MaxCount
	return modmath.Seed(h.Sum(nil))
}
