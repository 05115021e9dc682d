package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"souk/node/ledger"
	"souk/protocol/market"
)

// Evidence is what is kept of a provider that signed what can't be honest.
type Evidence struct {
	Lease    market.Hash      `json:"lease"`
	Peer     string           `json:"peer"`
	Code     string           `json:"code"` // market.FaultCode
	Sentence string           `json:"sentence"`
	Receipts []ledger.Receipt `json:"receipts"`
	At       uint64           `json:"at"` // Unix ms
}

func evidenceName(lease market.Hash) string { return "client/evidence/" + lease.Hex() }

// Evidence gives what is kept against the provider of a lease;
// ledger.ErrNotFound where there is nothing.
func (e *Engine) Evidence(ctx context.Context, lease market.Hash) (ev Evidence, err error) {
	err = e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		ev, err = evidence(tx, lease)
		return err
	})
	return ev, err
}

func evidence(tx *ledger.Tx, lease market.Hash) (ev Evidence, err error) {
	raw, err := tx.Meta(evidenceName(lease))
	if err != nil {
		return ev, err
	}
	return ev, json.Unmarshal(raw, &ev)
}

// AddEvidence adds to a client's bundle what proves by itself that the
// provider cheated: where it signed two receipts with one number, both stand
// in it, one after the other.
func AddEvidence(tx *ledger.Tx, b market.Bundle, lease market.Hash) (market.Bundle, error) {
	ev, err := evidence(tx, lease)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && ev.Code != string(market.FaultEquivocation) {
		return b, nil
	}
	for _, r := range ev.Receipts {
		s, err := r.Signed()
		if err != nil {
			return b, err
		}
		b.Receipts = beside(b.Receipts, s, r.Seq)
	}
	return b, err
}

// beside puts a receipt behind those with its number, unless it is there.
func beside(all []market.SignedReceipt, s market.SignedReceipt, seq uint32) []market.SignedReceipt {
	if slices.ContainsFunc(all, func(has market.SignedReceipt) bool { return bytes.Equal(has.Block, s.Block) }) {
		return all
	}
	at := slices.IndexFunc(all, func(has market.SignedReceipt) bool {
		r, err := market.DecodeReceipt(has.Block)
		return err == nil && r.Seq > seq
	})
	if at < 0 {
		at = len(all)
	}
	return slices.Insert(all, at, s)
}
