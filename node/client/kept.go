package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/challenge"
)

// verdictsName is where the verdicts of a short while ago are kept over restarts.
const verdictsName = "client/verdicts"

// keptVerdict is one of them.
type keptVerdict struct {
	Peer    string            `json:"peer"`
	Slug    string            `json:"slug"`
	Count   int               `json:"count"`
	Verdict challenge.Verdict `json:"verdict"`
	At      uint64            `json:"at"` // Unix ms
}

// keep remembers a verdict, in the books too.
func (e *Engine) keep(ctx context.Context, what tested, v challenge.Verdict) {
	e.verdicts.Add(what, verdictAt{v, e.cfg.Clock.Mono()})
	now, mono := e.nowMillis(), e.cfg.Clock.Mono()
	var all []keptVerdict
	for _, k := range e.verdicts.Keys() {
		if old, ok := e.verdicts.Peek(k); ok && mono-old.at < verdictLife {
			age := uint64((mono - old.at).Milliseconds()) //nolint:gosec // under verdictLife
			all = append(all, keptVerdict{k.peer.String(), k.slug, k.count, old.verdict, now - age})
		}
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error { return tx.PutMeta(verdictsName, text) })
	}
	if err != nil {
		e.cfg.Log.Warn("a verdict isn't kept for after a restart", "err", err)
	}
}

// recall takes up the verdicts that still count. They are a hint: what can't be
// read is challenged anew.
func (e *Engine) recall() {
	var text []byte
	err := e.cfg.Ledger.View(e.ctx, func(tx *ledger.Tx) (err error) {
		text, err = tx.Meta(verdictsName)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return
	}
	var all []keptVerdict
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		e.cfg.Log.Warn("verdicts of before can't be read", "err", err)
		return
	}
	now, mono := e.nowMillis(), e.cfg.Clock.Mono()
	for _, k := range all {
		id, err := peer.Decode(k.Peer)
		age := time.Duration(now-k.At) * time.Millisecond //nolint:gosec // judged below; a clock that was set back makes it huge or negative
		if err == nil && k.At <= now && age >= 0 && age < verdictLife {
			e.verdicts.Add(tested{id, k.Slug, k.Count}, verdictAt{k.Verdict, mono - age})
		}
	}
}
