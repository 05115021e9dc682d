package client

import (
	"errors"

	"souk/node/ledger"
	"souk/protocol/market"
)

// blameless tells that a failed lease is no mark against its provider: it took
// nothing for a job, or an image, that it says is to blame itself.
func blameless(l ledger.Lease, body market.Body) bool {
	return body.Cause == market.CauseUnfit && l.Countersigned.Charged.IsZero()
}

// refute marks the providers that said a job couldn't be run, once l has run
// it: else a provider could fail as often as it likes at no cost to its rank.
func (e *Engine) refute(tx *ledger.Tx, l ledger.Lease) error {
	if l.JobID == "" || l.Outcome != market.Succeeded && l.Outcome != market.JobFailed {
		return nil
	}
	_, before, err := jobAndLeases(tx, l.JobID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	for _, other := range before {
		if err == nil && other.Peer != l.Peer {
			err = e.refuteOne(tx, other)
		}
	}
	return err
}

func (e *Engine) refuteOne(tx *ledger.Tx, l ledger.Lease) error {
	if l.Lost || l.Outcome != market.ProviderFailed || l.Countersigned.Seq == 0 {
		return nil
	}
	rec, err := tx.Receipt(ledger.Client, l.Hash, l.Countersigned.Seq)
	if err != nil {
		return err
	}
	if body, err := market.DecodeBody(rec.Body); err != nil || !blameless(l, body) {
		return nil //nolint:nilerr // a tick without a body says nothing
	}
	return e.editPeer(tx, l.Peer, func(p *ledger.Peer) {
		p.Failed++
		p.LastFault = "it said that a job can't be run, and another provider ran it: " + l.Reason
	})
}
