package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/network"

	"souk/protocol/blob"
	"souk/protocol/market"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// cheat is one way to misbehave as a provider. A hook that is nil leaves that
// step as an honest provider does it, but for the job, which never runs.
type cheat struct {
	name string
	does string // one line

	proves bool // offers challenges under a lease, and answers them
	ticks  int  // how many ticks the job seems to run; 0: as many as the shop's

	offers   func(s *shop, own []byte) ([][]byte, error)                                                  // what is handed out
	price    func(asked market.Amount) market.Amount                                                      // of a quote, from the offer's
	refuse   func() error                                                                                 // an accept
	converse func(ctx context.Context, l *rented, a run.Attach, s *wire.Stream, raw network.Stream) error // all of an attach
	boundary func(l *rented, n int) (over bool)                                                           // before the receipt of tick n, from 1
	units    func(l *rented, ran uint64) uint64                                                           // to charge for after ran ms
	bend     func(l *rented, r *market.Receipt)                                                           // a receipt before it is signed
	signer   func(s *shop) *market.Signer                                                                 // of receipts
	twin     func(l *rented, r market.Receipt) market.Receipt                                             // a second receipt, right behind the first
	again    func(l *rented, r market.Receipt) market.Receipt                                             // what a client that comes back gets for a receipt it has
	serve    func(ctx context.Context, l *rented, skip int) (blob.Source, error)                          // the outputs
}

// cheats are all behaviours of a provider.
func cheats() []cheat {
	return append([]cheat{
		fake(), overcharge(), overbill(), badsig(), wronglease(), gap(), equivocate(), equivocateLater(),
		vanish(), busy(), silent(), garbage(), slow(), liar(), forged(), guess(),
	}, withholds()...)
}

// parseCheats reads a comma-separated list of behaviours.
func parseCheats(text string) ([]cheat, error) {
	known := make(map[string]cheat)
	var names []string
	for _, c := range cheats() {
		known[c.name] = c
		names = append(names, c.name)
	}
	var out []cheat
	for name := range strings.SplitSeq(text, ",") {
		c, ok := known[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("no behaviour is named %q; there are %s", name, strings.Join(names, ", "))
		}
		out = append(out, c)
	}
	return out, nil
}
