package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// errBroken is a provider that broke a rule; what it did was printed.
var errBroken = errors.New("the provider broke a rule")

// attack is one way to misbehave as a client.
type attack struct {
	name string
	does string // one line
	run  func(ctx context.Context, t *trial) error
}

// attacks are all behaviours of a client.
func attacks() []attack {
	return []attack{
		{"replay", "sends the same accept 50 times, and another job on the same quote", replay},
		{"lowvoucher", "accepts with a voucher that is one unit short", lowVoucher},
		{"neverpay", "runs a job without end and never countersigns", neverPay},
		{"malformed", "20 malformed frames on each protocol", malformed},
		{"flood", "opens streams as fast as it can", flood},
		{"hugeprefix", "frames that announce 2^63-1 bytes and 1 GB", hugePrefix},
		{"slowloris", "holds many streams half open", slowloris},
	}
}

// trial is one attack on one provider, and what is thought of its answers.
type trial struct {
	network string
	target  peer.AddrInfo
	size    int // how many streams, frames or repetitions; 0: the attack's own
	say     func(format string, args ...any)

	mu     sync.Mutex
	broken int
}

// broke notes a rule that the provider broke.
func (t *trial) broke(format string, args ...any) {
	t.mu.Lock()
	t.broken++
	t.mu.Unlock()
	t.say("RULE BROKEN: "+format, args...)
}

func (t *trial) many(usual int) int {
	if t.size > 0 {
		return t.size
	}
	return usual
}

func (t *trial) guest(ctx context.Context) (*guest, error) { return newGuest(ctx, t.network, t.target) }

const (
	probeWithin = 5 * time.Second // an honest question's answer, whatever else goes on
	trialTime   = 5 * time.Minute
)

// probe asks for the offer as an honest stranger, who must get it in time.
func (t *trial) probe(ctx context.Context, when string) {
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	g, err := t.guest(limited)
	if err == nil {
		defer g.close()
		_, _, err = offer.Ask(limited, g.host, t.target.ID, t.network, 1)
	}
	if err != nil {
		t.broke("%s, an honest peer got no offer within %s: %v", when, probeWithin, err)
		return
	}
	t.say("%s, an honest peer got its offer after %s", when, time.Since(start).Round(time.Millisecond))
}

func clientCommand(ctx context.Context, args []string, std streams) error {
	t := &trial{say: (&story{w: std.out}).say}
	var target, behave string
	var tied leash
	f := flag.NewFlagSet("client", flag.ContinueOnError)
	f.StringVar(&target, "provider", "", "address of the provider to try; it ends in /p2p/PEER")
	f.StringVar(&t.network, "network", "", "the provider's network")
	f.StringVar(&behave, "behave", "", "what to try, separated by commas (see souk-hostile behaviours)")
	f.IntVar(&t.size, "size", 0, "how many streams, frames or repetitions; 0 is what each behaviour is made for")
	tied.flags(f)
	if err := parse(f, args, std); err != nil {
		return err
	}
	found, err := peersOf(target)
	switch {
	case err != nil:
		return misused(std, "%v", err)
	case len(found) != 1:
		return misused(std, "--provider must be one address that ends in /p2p/PEER")
	case !market.ValidNetwork(t.network):
		return misused(std, "--network %q must be 1 to 32 of a-z, 0-9 and -", t.network)
	}
	chosen, err := parseAttacks(behave)
	if err != nil {
		return misused(std, "%v", err)
	}
	t.target = found[0]
	ctx, cancel := tied.hold(ctx, std.in)
	defer cancel()
	for _, a := range chosen {
		if err := t.try(ctx, a); err != nil {
			return err
		}
	}
	return t.verdict()
}

func parseAttacks(text string) ([]attack, error) {
	var names []string
	known := make(map[string]attack)
	for _, a := range attacks() {
		known[a.name] = a
		names = append(names, a.name)
	}
	var out []attack
	for name := range strings.SplitSeq(text, ",") {
		a, ok := known[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("no behaviour is named %q; there are %s", name, strings.Join(names, ", "))
		}
		out = append(out, a)
	}
	return out, nil
}

func (t *trial) try(ctx context.Context, a attack) error {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	t.say("%s: %s", a.name, a.does)
	if err := a.run(ctx, t); err != nil {
		return fmt.Errorf("%s could not be tried: %w", a.name, err)
	}
	return nil
}

func (t *trial) verdict() error {
	if t.broken > 0 {
		t.say("the provider broke %d rules", t.broken)
		return errBroken
	}
	t.say("the provider kept to the rules")
	return nil
}

// openRaw opens a stream for raw bytes.
func (g *guest) openRaw(ctx context.Context, id protocol.ID) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, wire.OpenTimeout)
	defer cancel()
	return g.host.NewStream(ctx, g.target.ID, id)
}

// allProtocols are those that a provider serves.
func allProtocols() []protocol.ID {
	return []protocol.ID{wire.OfferProtocol, wire.LeaseProtocol, wire.RunProtocol, wire.BlobProtocol, wire.StatusProtocol, wire.ChallengeProtocol}
}

// ended waits for the provider to end the stream, and tells how long that
// took and whether it happened.
func ended(s network.Stream, within time.Duration) (time.Duration, bool) {
	start := time.Now()
	_ = s.SetReadDeadline(start.Add(within))
	_, err := io.Copy(io.Discard, io.LimitReader(s, wire.MaxData))
	var deadline net.Error
	open := errors.As(err, &deadline) && deadline.Timeout()
	return time.Since(start), !open
}
