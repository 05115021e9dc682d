package main

import (
	"souk/protocol/market"
)

// The ways to cheat with what receipts say.

func fake() cheat {
	return cheat{name: "fake", does: "runs nothing, charges honestly for that and brings back random bytes"}
}

const overchargeFactor = 10

func overcharge() cheat {
	return cheat{
		name: "overcharge", does: "its receipts count ten times the running time that has passed",
		units: func(l *rented, ran uint64) uint64 {
			units := min(overchargeFactor*ran, l.a.Quote.MaxMillis)
			l.say("charging %s s after %s s", seconds(units), seconds(ran))
			return units
		},
	}
}

func overbill() cheat {
	return cheat{
		name: "overbill", does: "its receipts charge twice what their running time costs",
		bend: func(l *rented, r *market.Receipt) {
			honest := r.Charged
			r.Charged = r.Charged.Add(r.Charged)
			l.say("receipt %d charges %s for %s s, which cost %s", r.Seq, usd(r.Charged), seconds(r.Units), usd(honest))
		},
	}
}

func badsig() cheat {
	return cheat{
		name: "badsig", does: "signs receipts with another key",
		signer: func(s *shop) *market.Signer { return s.stranger },
		bend: func(l *rented, r *market.Receipt) {
			l.say("signing receipt %d as %s, who is not this peer", r.Seq, l.shop.stranger.Address())
		},
	}
}

func wronglease() cheat {
	return cheat{
		name: "wronglease", does: "its receipts are for another lease",
		bend: func(l *rented, r *market.Receipt) {
			for i := range r.Lease {
				r.Lease[i] ^= 0xff
			}
			l.say("receipt %d is for the lease %s", r.Seq, short(r.Lease))
		},
	}
}

func gap() cheat {
	return cheat{
		name: "gap", does: "leaves receipt 2 out",
		bend: func(l *rented, r *market.Receipt) {
			if r.Seq == 2 {
				r.Seq++
				l.say("receipt 3 follows receipt 1")
			}
		},
	}
}

func equivocate() cheat {
	return cheat{
		name: "equivocate", does: "signs two different receipts with one number, one right after the other",
		twin: func(l *rented, r market.Receipt) market.Receipt {
			l.say("signing a second receipt %d, which differs from the first", r.Seq)
			return differing(r)
		},
	}
}

func equivocateLater() cheat {
	return cheat{
		name: "equivocate:later", does: "signs another receipt with the same number for a client that attaches again",
		ticks: 10,
		again: func(l *rented, r market.Receipt) market.Receipt {
			l.say("the client is back: signing another receipt %d than the one that it has", r.Seq)
			return differing(r)
		},
	}
}

// differing is another receipt with the same number, and a charge that a
// client would rather believe.
func differing(r market.Receipt) market.Receipt {
	r.Units -= min(r.Units, 1)
	return r
}
