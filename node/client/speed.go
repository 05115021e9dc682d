package client

import (
	"encoding/json"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/market"
)

// minMeasured is the least running time that says something about speed.
const minMeasured = 1000 // ms

// work is how much a job document asks of a machine, in loops of souk's fixed
// module. A deterministic job, which a container is not, does the same work everywhere, so what the
// first machine took, at the speed it is known for, measures all later ones.
type work struct {
	Loops uint64 `json:"loops"`
}

func workName(job market.Hash) string { return "client/work/" + job.Hex() }

// measure learns a provider's speed from the last receipt of a job that
// succeeded. A job seen for the first time only tells how much work it is.
func (e *Engine) measure(tx *ledger.Tx, l ledger.Lease) error {
	job, err := market.DecodeJob(l.Job)
	if err != nil || job.RealTime || job.Image != nil || l.Outcome != market.Succeeded || l.Countersigned.Units < minMeasured {
		return err
	}
	known, err := tx.Peer(l.Peer)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	name := workName(market.BlockHash(l.Job))
	raw, err := tx.Meta(name)
	if errors.Is(err, ledger.ErrNotFound) {
		return e.firstMeasure(tx, name, known, l)
	}
	var w work
	if err := errors.Join(err, json.Unmarshal(raw, &w)); err != nil {
		return err
	}
	loops := w.Loops * 1000 / l.Countersigned.Units // fits: firstMeasure lets no more than 2^51 loops in
	return e.editPeer(tx, l.Peer, func(p *ledger.Peer) {
		if p.Speed == 0 {
			p.Speed = loops
		} else {
			p.Speed = p.Speed/2 + loops/2
		}
	})
}

func (e *Engine) firstMeasure(tx *ledger.Tx, name string, known ledger.Peer, l ledger.Lease) error {
	speed := known.Speed
	if p, err := peer.Decode(l.Peer); speed == 0 && err == nil {
		o, _ := e.offers.Get(p, e.cfg.Clock.Now())
		speed = o.Speed
	}
	if speed == 0 || speed > 1<<30 || l.Countersigned.Units > 1<<30 {
		return nil // nothing to go by, or figures that no short job has
	}
	raw, err := json.Marshal(work{Loops: speed * l.Countersigned.Units / 1000})
	if err != nil {
		return err
	}
	return tx.PutMeta(name, raw)
}
