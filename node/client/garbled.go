package client

import (
	"errors"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/wire"
)

// garbled counts an answer that no correct implementation sends, and shuts out
// who gives them again and again, as a provider does with such clients. An
// answer that was cut off accuses nobody.
func (e *Engine) garbled(p peer.ID, err error) {
	if !errors.Is(err, wire.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) || !e.faults.Misbehaved(p) {
		return
	}
	e.cfg.Log.Warn("peer blocked", "peer", p, "for", wire.BlockFor, "why", err)
	e.cfg.Block(p, wire.BlockFor)
}
