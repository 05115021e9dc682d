package main

import (
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/pb"
)

// issue signs the next receipt, as the cheat has it.
func (l *rented) issue(ran uint64, outcome market.Outcome, body market.Body) {
	units := min(ran, l.a.Quote.MaxMillis)
	if l.cheat.units != nil && ran > 0 {
		units = l.cheat.units(l, ran)
	}
	block, err := body.Encode()
	if err != nil {
		l.say("no receipt: %v", err)
		return
	}
	var before market.Receipt
	l.look(func() { before = l.newest })
	r := market.Receipt{
		Lease: l.hash, Seq: before.Seq + 1, Units: max(units, before.Units), Outcome: outcome, BodyHash: market.BlockHash(block),
	}
	if before.Seq > 0 {
		r.Previous = before.Hash()
	}
	if r.Units > 0 {
		r.Charged = l.a.Quote.Charge(r.Units)
	}
	if l.cheat.bend != nil {
		l.cheat.bend(l, &r)
	}
	out := []market.Receipt{r}
	if l.cheat.twin != nil {
		out = append(out, l.cheat.twin(l, r))
	}
	signed, err := l.sign(out, block)
	if err != nil {
		l.say("no receipt: %v", err)
		return
	}
	l.say("receipt %d: %s s, %s, %s", r.Seq, seconds(r.Units), usd(r.Charged), outcome)
	l.change(func() {
		l.newest = r
		l.sent = append(l.sent, signed...)
	})
}

func (l *rented) sign(docs []market.Receipt, body []byte) ([]receipt, error) {
	signer := l.shop.signer
	if l.cheat.signer != nil {
		signer = l.cheat.signer(l.shop)
	}
	out := make([]receipt, 0, len(docs))
	for _, r := range docs {
		sig, err := signer.Sign(l.shop.chain.Digest(r.Hash()))
		if err != nil {
			return nil, err
		}
		out = append(out, receipt{doc: r, wire: &pb.Receipt{Receipt: r.Encode(), ProviderSignature: sig[:], Body: body}})
	}
	return out, nil
}

// short is how a lease is named to people.
func short(h market.Hash) string { return h.Hex()[:8] + "…" }

// seconds is ms as people read them, to a tenth.
func seconds(ms uint64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(ms)/1000), ".0")
}

// whom is how a peer is named to people: by the end of its ID, which differs.
func whom(p peer.ID) string {
	s := p.String()
	return "…" + s[max(0, len(s)-8):]
}

// usd is an amount of the unit of account, which has six decimals.
func usd(a market.Amount) string {
	digits := fmt.Sprintf("%07s", a.String())
	return digits[:len(digits)-6] + "." + digits[len(digits)-6:] + " USD"
}
