package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/cache"
	"souk/node/device"
	"souk/node/ledger"
	"souk/protocol/challenge"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

const (
	verdictLife = 10 * time.Minute // devices that were challenged aren't challenged again
	maxVerdicts = 1024
	giveBack    = 5 * time.Second // for a provider to take a measurement
)

// tested is what was challenged.
type tested struct {
	peer  peer.ID
	slug  string
	count int
}

// verdicts remembers what challenges showed a short while ago; who was caught is
// in the ledger for good.
type verdicts = lru.Cache[tested, verdictAt]

type verdictAt struct {
	verdict challenge.Verdict
	at      time.Duration // monotonic
}

func newVerdicts() *verdicts { return cache.New[tested, verdictAt](maxVerdicts) }

// Challenge challenges free devices of a peer: count of them, of that slug, or
// where these are zero those of the first kind that its offer has. Who is caught is
// remembered and not leased again. The measurement goes back to the provider.
func (e *Engine) Challenge(ctx context.Context, id peer.ID, slug string, count int) (challenge.Verdict, error) {
	if err := e.cfg.Finder.Connect(ctx, peer.AddrInfo{ID: id}); err != nil {
		return challenge.Verdict{}, wire.Refuse(NoProvider, "%s can't be reached: %v", shown(id), err)
	}
	offers, sealed, err := offer.Ask(ctx, e.cfg.Host, id, e.cfg.Network, 1)
	if err != nil {
		return challenge.Verdict{}, err
	}
	for i, o := range offers {
		e.offers.Add(o, sealed[i])
		if o.Peer != id {
			continue
		}
		for _, d := range o.Devices {
			if (slug == "" || d.Slug == device.Slug(slug)) && d.Count >= count {
				if count == 0 {
					count = d.Count
				}
				return e.challenge(ctx, id, d, count)
			}
		}
	}
	return challenge.Verdict{}, noSuchGPU(id, offers, slug, count)
}

// noSuchGPU says what a peer offers instead.
func noSuchGPU(id peer.ID, offers []offer.Offer, slug string, count int) error {
	var has []string
	for _, o := range offers {
		for _, d := range o.Devices {
			if o.Peer == id {
				has = append(has, fmt.Sprintf("%d of %s", d.Count, printable(d.Slug)))
			}
		}
	}
	want := strings.TrimSpace(fmt.Sprintf("%d %s", max(count, 1), printable(slug)))
	if len(has) == 0 {
		return wire.Refuse(wire.NoMatch, "%s offers no GPU", shown(id))
	}
	return wire.Refuse(wire.NoMatch, "%s can't be challenged for %s: it offers %s", shown(id), want, strings.Join(has, ", "))
}

// challengeFor challenges a candidate's devices, which afterwards have stood it, or the candidate is out.
func (e *Engine) challengeFor(ctx context.Context, c *candidate, n Need) {
	need, err := n.devices()
	if err != nil || !n.Challenge || need.Count == 0 {
		return
	}
	d, ok := deviceFor(c.offer, need)
	if !ok {
		return // the quote will tell
	}
	v, known := e.recent(c.offer.Peer, d.Slug, need.Count)
	if c.offer.Challenge == offer.ChallengeLease && !known {
		c.holdBack(n)
		return
	}
	v, err = e.challenge(ctx, c.offer.Peer, d, need.Count)
	var r *wire.Refusal
	switch {
	case errors.As(err, &r):
		c.out(missRefused, r.Code, "it takes no challenge: %s", r.Error())
	case err != nil:
		e.cfg.Log.Debug("no verdict", "peer", c.offer.Peer, "err", err)
		c.out(missRefused, NoProvider, "it left a challenge unanswered")
	case v.Caught != "":
		c.out(missOther, Cheated, "its %s were challenged: %s", need, v.Sentence)
	case v.Simulated && !n.AllowSimulated:
		c.out(missSim, wire.NoMatch, "its %s is simulated", need)
	default:
		c.note = strings.TrimPrefix(c.note+"; challenged: "+v.Sentence, "; ")
	}
}

// holdBack has a candidate that answers challenges only under a lease leased for
// a little longer, and its devices challenged before the process begins.
func (c *candidate) holdBack(n Need) {
	want := min(c.time+holdTime, c.offer.MaxTime)
	if n.Total != nil && !c.tick.IsZero() {
		ticks := affordable(*n.Total, c.tick, ticksIn(want, c.offer.Tick))
		want = min(want, max(c.time, time.Duration(ticks)*c.offer.Tick)) //nolint:gosec // not above ticksIn
	}
	c.time, c.hold = want, true
	c.note = strings.TrimPrefix(c.note+"; challenged under its lease, before the process begins", "; ")
}

// deviceFor is the kind of device in an offer that meets a need.
func deviceFor(o offer.Offer, need device.Need) (offer.Device, bool) {
	for _, d := range o.Devices {
		has := device.Device{Model: d.Model, Slug: d.Slug, VRAM: d.VRAM, Kind: device.Kind(d.Evidence)}
		if d.Free >= need.Count && need.Match(has) {
			return d, true
		}
	}
	return offer.Device{}, false
}

// challenge is one challenge with all that follows from it, or the verdict of one a short while ago.
func (e *Engine) challenge(ctx context.Context, id peer.ID, d offer.Device, count int) (challenge.Verdict, error) {
	if v, ok := e.recent(id, d.Slug, count); ok {
		return v, nil
	}
	return e.put(ctx, id, claimOf(d, count), e.cfg.Challenge)
}

// recent is the verdict of a short while ago, if there is one.
func (e *Engine) recent(id peer.ID, slug string, count int) (challenge.Verdict, bool) {
	old, ok := e.verdicts.Get(tested{id, slug, count})
	return old.verdict, ok && e.cfg.Clock.Mono()-old.at < verdictLife
}

// put is one challenge with all that follows from it. What devices do beside a
// job isn't remembered.
func (e *Engine) put(ctx context.Context, id peer.ID, c challenge.Claim, o challenge.Options) (challenge.Verdict, error) {
	v, err := challenge.Ask(ctx, e.cfg.Host, e.cfg.Network, id, c, o)
	if err != nil {
		return v, err
	}
	if !v.Beside || v.Caught != "" {
		e.keep(ctx, tested{id, c.Slug, c.Count}, v)
	}
	switch {
	case v.Caught != "":
		return v, e.recordCaught(ctx, id, v)
	case v.Measures():
		e.giveBack(ctx, id, v)
	}
	return v, nil
}

// claimOf is what an offer claims of count of its devices. The provider's own
// measurement is a claim: it is what the others are compared with.
func claimOf(d offer.Device, count int) challenge.Claim {
	c := challenge.Claim{Slug: d.Slug, Count: count, Blocks: challenge.Blocks(d.VRAM)}
	for _, m := range d.Measured {
		if m.Own() {
			c.Mops, c.MBps = m.Mops/uint64(m.Count), m.MBps/uint64(m.Count) //nolint:gosec // at least 1
		}
	}
	return c
}

// recordCaught writes down who was caught. An answer that no honest provider gives keeps
// it from ever being leased again; a rate that was missed counts as a failure, for
// one time in a hundred a hot or busy machine misses it too.
func (e *Engine) recordCaught(ctx context.Context, id peer.ID, v challenge.Verdict) error {
	return e.cfg.Ledger.Update(ctx, func(tx *ledger.Tx) error {
		return e.editPeer(tx, id.String(), func(p *ledger.Peer) {
			if v.Caught.Slow() {
				p.Failed++
			} else {
				p.Cheated++
			}
			p.LastFault = fmt.Sprintf("a challenge of its %dx %s caught it (%s): %s", v.Count, v.Slug, v.Caught, v.Sentence)
		})
	})
}

// giveBack lets the provider show what was measured. Whether it does is its own affair.
func (e *Engine) giveBack(ctx context.Context, id peer.ID, v challenge.Verdict) {
	ctx, cancel := context.WithTimeout(ctx, giveBack)
	defer cancel()
	m, err := v.Measurement(id, e.cfg.Clock.Now()).Sign(e.cfg.Network, e.cfg.Key)
	if err == nil {
		err = challenge.Give(ctx, e.cfg.Host, id, m.Proto())
	}
	if err != nil {
		e.cfg.Log.Debug("a measurement wasn't taken back", "peer", id, "err", err)
	}
}

// Measured is what an offer shows that was measured of a kind of device.
type Measured struct {
	Devices string    `json:"devices"` // for people: "2x RTX 4090"
	Mops    uint64    `json:"mops"`    // millions of multiplications with addition per second, together
	MBps    uint64    `json:"mbps"`
	Touched uint64    `json:"touched"` // bytes
	At      time.Time `json:"at"`
	By      string    `json:"by"` // a peer; the provider itself, where it measured itself
	Own     bool      `json:"own"`
}

// GPU is one kind of devices that an offer has.
type GPU struct {
	Slug     string     `json:"slug"` // as --gpu and --model take it
	Model    string     `json:"model"`
	Count    int        `json:"count"`
	Free     int        `json:"free"`
	VRAM     int64      `json:"vram"`     // bytes, of each
	Evidence string     `json:"evidence"` // measured, claimed or simulated
	Shared   bool       `json:"shared"`   // leases share them, unless a job is exclusive
	Measured []Measured `json:"measured,omitempty"`
}

func gpusOf(o offer.Offer) (out []GPU) {
	for _, d := range o.Devices {
		out = append(out, GPU{
			Slug: printable(d.Slug), Model: printable(d.Model), Count: d.Count, Free: d.Free, VRAM: d.VRAM,
			Evidence: printable(d.Evidence), Shared: d.Shared, Measured: measuredOf(d),
		})
	}
	return out
}

func measuredOf(d offer.Device) (out []Measured) {
	for _, m := range d.Measured {
		out = append(out, Measured{
			Devices: fmt.Sprintf("%dx %s", m.Count, printable(d.Model)), Mops: m.Mops, MBps: m.MBps, Touched: m.Touched,
			At: m.At, By: m.By.String(), Own: m.Own(),
		})
	}
	return out
}
