package client

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	// slowPay is a countersignature that took long enough to miss the shortest
	// grace of DESIGN §6.
	slowPay = time.Second
	// unpaidTries is how often a provider may end executions of one job for
	// want of cover before it is left out like one that failed: with an honest
	// one it may be this node's fault, a hostile one may say it each time.
	unpaidTries = 2
)

// uncovered tells of an execution that its provider stopped for want of cover:
// it ended as cancelled, and nobody here had cancelled it.
func uncovered(l ledger.Lease) bool {
	return l.Outcome == market.Cancelled && !l.Cancelled && !l.Lost
}

// failing are the providers that a job's next execution avoids.
func failing(before []ledger.Lease) map[peer.ID]bool {
	avoid, unpaid := map[peer.ID]bool{}, map[peer.ID]int{}
	for _, l := range before {
		p, err := peer.Decode(l.Peer)
		if err != nil {
			continue
		}
		if uncovered(l) {
			unpaid[p]++
		}
		avoid[p] = avoid[p] || !uncovered(l) || unpaid[p] >= unpaidTries
	}
	return avoid
}

// whyUnpaid is what this node knows of why its cover was late.
func (x *execution) whyUnpaid() string {
	switch {
	case x.warned:
		return "because a cap in money kept its voucher low"
	case !x.startedHere:
		return "because it was down for a part of the run"
	case x.broken > 0:
		return fmt.Sprintf("because its conversation with the provider broke off (times: %d)", x.broken)
	case x.slowest >= slowPay:
		return fmt.Sprintf("because it took %s to write a countersignature to its disk", x.slowest.Round(10*time.Millisecond))
	default:
		return "as its provider says, although it countersigned each receipt as it came: the messages may have taken too long"
	}
}
