package forgery

import (
	"errors"
	"flag"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/books"
	"souk/protocol/market"
)

var (
	forgeries = flag.Int("forgeries", 3000, "how many documents are forged, at least")
	first     = flag.Uint64("seed", 1, "the seed of the first lease that they are made of")
)

// refusal tells whether an error is the one that a forgery should get.
type refusal func(error) bool

func is(want error) refusal { return func(err error) bool { return errors.Is(err, want) } }

func as[E error]() refusal {
	return func(err error) bool { var e E; return errors.As(err, &e) }
}

// faulted is a bundle's fault, or what a client accuses a provider of.
func faulted(code market.FaultCode) refusal {
	return func(err error) bool {
		var f *market.Fault
		var c *books.Cheat
		return errors.As(err, &f) && f.Code == code || errors.As(err, &c) && c.Code == code
	}
}

// errNoNews is what a replayed document comes to where it isn't refused: it
// changes nothing.
var errNoNews = errors.New("nothing changed")

// kind is one way to forge a document. forge hands it to what a node reads it
// with; nil means that it was accepted.
type kind struct {
	name  string
	want  refusal
	forge func(w *world) error
}

func kinds() []kind {
	return slices.Concat(spoiledSignatures(), askKinds(), quoteKinds(), acceptKinds(), leaseKinds(), receiptKinds(), countersignKinds(), voucherKinds(), offerKinds(), bundleKinds())
}

// TestForgeries lets nobody in. scripts/forge makes more of them, and those of
// one seed again.
func TestForgeries(t *testing.T) {
	all := kinds()
	require.Greater(t, len(all), 12)
	seen := map[string]bool{}
	for _, k := range all {
		require.False(t, seen[k.name], k.name)
		seen[k.name] = true
	}
	made, accepted, otherwise := 0, 0, 0
	for seed := *first; made < *forgeries; seed++ {
		w := newWorld(seed)
		for name, honest := range controls() {
			if err := honest(w); err != nil {
				t.Fatalf("seed %d: an honest %s was refused: %v\nagain: scripts/forge 1 %d", seed, name, err, seed)
			}
		}
		for _, k := range all {
			made++
			switch err := k.forge(w); {
			case err == nil:
				accepted++
				t.Errorf("seed %d: accepted: %s\nagain: scripts/forge 1 %d", seed, k.name, seed)
			case !k.want(err):
				otherwise++
				t.Errorf("seed %d: %s was refused for another reason: %v\nagain: scripts/forge 1 %d", seed, k.name, err, seed)
			}
		}
		if accepted+otherwise > 20 {
			t.Fatal("and so on")
		}
	}
	t.Logf("%d forgeries of %d kinds, %d accepted, %d refused for another reason", made, len(all), accepted, otherwise)
}
