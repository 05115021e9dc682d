package client

import (
	"fmt"
	"strings"

	"souk/protocol/market"
	"souk/protocol/wire"
)

// summarize says in one sentence how the search went, and names the nearest
// miss where nobody can be leased. The candidates are ranked.
func summarize(network string, cs []*candidate, n Need) (code wire.Code, sentence string) {
	if len(cs) == 0 {
		return NoProvider, fmt.Sprintf("no provider of the network %s answered; is one running, and is a bootstrap or local peer reachable?", network)
	}
	nearest := cs[0].miss
	var same []*candidate
	for _, c := range cs {
		if c.miss == nearest {
			same = append(same, c)
		}
	}
	count := countOf(len(same))
	switch nearest {
	case noMiss:
		return "", fmt.Sprintf("%s of %d can be leased", count, len(cs))
	case missRefused:
		return refusedCode(same), fmt.Sprintf("%s fit, but none gave a quote: %s", count, same[0].whyNot)
	case missDisputed:
		return Disputed, fmt.Sprintf("%s %s, but %s; %s", count, haveIt(len(same), n), same[0].whyNot, same[0].remedy)
	case missBusy:
		return wire.Busy, fmt.Sprintf("%s %s, none free now: %s", count, haveIt(len(same), n), same[0].whyNot)
	case missPrice:
		return wire.OverPrice, fmt.Sprintf("%s %s, the cheapest asks %s/h, your limit is %s/h",
			count, haveIt(len(same), n), usd(cheapest(same).price), usd(*n.Price))
	case missTotal:
		c := cheapest(same)
		return OverTotal, fmt.Sprintf("%s %s, but one tick costs at least %s and limits.total leaves %s; %s would pay for the whole %s",
			count, haveIt(len(same), n), usd(c.tick), usd(*n.Total), usd(c.tick.Times(ticksIn(c.time, c.offer.Tick))), c.time)
	case missExecutor:
		return NoProvider, noneRuns(network, len(same), n)
	case missEgress:
		return NoProvider, fmt.Sprintf("%s %s, none grants jobs a network; leave egress out, or wait for one that does", count, haveIt(len(same), n))
	case missChallenge:
		return NoProvider, fmt.Sprintf("%s %s, none takes challenges; leave verify.challenge out to take its word", count, haveIt(len(same), n))
	case missSim:
		if n.Executor == market.KindWASM {
			return NoProvider, fmt.Sprintf("%s %s only simulated, and a WASM job can't use one; use an image, or need no GPU", count, haveIt(len(same), n))
		}
		return NoProvider, fmt.Sprintf("%s %s only simulated; --allow-simulated takes those, for tests", count, haveIt(len(same), n))
	default:
		return NoProvider, fmt.Sprintf("%s answered and none fits; the nearest: %s", countOf(len(cs)), same[0].whyNot)
	}
}

// testnets is how the names of networks begin that souk testnet makes.
const testnets = "testnet-"

// noneRuns says that so many providers lack nothing but an executor.
func noneRuns(network string, providers int, n Need) string {
	text := fmt.Sprintf("%s answered, none runs %s", countOf(providers), jobsOf(n.Executor))
	if n.GPU != nil {
		text = fmt.Sprintf("%s %s, none runs %s", countOf(providers), haveIt(providers, n), jobsOf(n.Executor))
	}
	if n.Executor == market.KindDocker && strings.HasPrefix(network, testnets) {
		text += "; those of `souk testnet up --docker` do"
	}
	return text
}

// refusedCode is the refusals' own code if they agree on one.
func refusedCode(cs []*candidate) wire.Code {
	for _, c := range cs[1:] {
		if c.code != cs[0].code {
			return NoProvider
		}
	}
	return cs[0].code
}

func cheapest(cs []*candidate) *candidate {
	best := cs[0]
	for _, c := range cs[1:] {
		if c.price.Less(best.price) {
			best = c
		}
	}
	return best
}

func countOf(n int) string {
	if n == 1 {
		return "1 provider"
	}
	return fmt.Sprintf("%d providers", n)
}

func haveIt(n int, need Need) string {
	verb := "have"
	if n == 1 {
		verb = "has"
	}
	if need.GPU != nil {
		return verb + " the GPU"
	}
	return verb + " what you need"
}

// worstCost is the most that the candidates could cost over all executions,
// with what those could keep that take a voucher and don't take the lease.
// A job with a price limit may go on, where one of them fails, with any
// provider up to that limit.
func worstCost(cs []*candidate, executions int, n Need) market.Amount {
	var most, declined, least market.Amount
	for _, c := range cs {
		if !c.leasable() {
			continue
		}
		prepaid := c.prepaid()
		if declined.IsZero() || prepaid.Less(least) {
			least = prepaid
		}
		declined = declined.Add(prepaid)
		most = market.MaxAmount(most, c.quoted.Quote.Ceiling())
	}
	if n.Price != nil && !most.IsZero() {
		most = market.MaxAmount(most, market.TickPrice(*n.Price, uint64(n.Time.Milliseconds()))) //nolint:gosec // positive
	}
	most = most.Times(uint64(max(executions, 1))).Add(declined.Sub(least)) //nolint:gosec // at least 1
	if n.Total != nil {
		most = market.MinAmount(most, *n.Total)
	}
	return most
}
