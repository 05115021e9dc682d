package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"souk/internal/quantity"
	"souk/node/device"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

const (
	quoteAtOnce = 4 // of the best, in parallel
	quoteRounds = 3 // while nobody has quoted, each of twice as many
	// maxPrepay is the most ticks that are paid ahead; DESIGN §6's default.
	maxPrepay  = 1
	maxPrepare = 2 * time.Hour    // from the quote's end to startBy
	quoteWait  = 10 * time.Second // for one provider's quote
	// hurryPause is how long a provider that is asked too fast is left alone, at
	// least; jobs that were all too fast come back at different times.
	hurryPause = 500 * time.Millisecond
)

// consider looks for providers and asks the best for quotes. The candidates
// come ranked.
func (e *Engine) consider(ctx context.Context, n Need) ([]*candidate, error) {
	cs, err := e.candidates(ctx, n)
	if err != nil {
		return nil, err
	}
	e.quoteBest(ctx, cs, n)
	rank(cs)
	return cs, ctx.Err()
}

// candidates are all offers that could be had, judged and ranked.
func (e *Engine) candidates(ctx context.Context, n Need) ([]*candidate, error) {
	offers, err := e.find(ctx, n, func(o offer.Offer) bool { return e.judge(o, ledger.Peer{}, n).fits() })
	if err != nil {
		return nil, err
	}
	cs := make([]*candidate, 0, len(offers))
	err = e.cfg.Ledger.Peek(ctx, func(tx *ledger.Tx) error {
		for _, o := range offers {
			known, err := tx.Peer(o.Peer.String())
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			c := e.judge(o, known, n)
			if err := c.judgePast(tx); err != nil {
				return err
			}
			cs = append(cs, c)
		}
		return nil
	})
	rank(cs)
	return cs, err
}

// quoteBest asks the best that fit for quotes, the next ones while none gave one.
func (e *Engine) quoteBest(ctx context.Context, cs []*candidate, n Need) {
	var fit []*candidate
	for _, c := range cs {
		if c.fits() && c.quoted == nil {
			fit = append(fit, c)
		}
	}
	for round := range quoteRounds {
		batch := fit[:min(quoteAtOnce<<round, len(fit))]
		fit = fit[len(batch):]
		var wg sync.WaitGroup
		for _, c := range batch {
			wg.Go(func() {
				if e.challengeFor(ctx, c, n); c.fits() {
					e.askQuote(ctx, c, n)
				}
			})
		}
		wg.Wait()
		if len(fit) == 0 || slices.ContainsFunc(batch, (*candidate).fits) {
			break
		}
	}
}

// askQuote asks one candidate, which afterwards has a quote or doesn't fit.
func (e *Engine) askQuote(ctx context.Context, c *candidate, n Need) {
	ctx, cancel := context.WithTimeout(ctx, quoteWait)
	defer cancel()
	asked := e.cfg.Clock.Mono()
	q, err := e.ask(ctx, c, n)
	var r *wire.Refusal
	for errors.As(err, &r) && r.Code == wire.RateLimited && pause(ctx, hurryPause+rand.N(hurryPause), nil) {
		asked = e.cfg.Clock.Mono()
		q, err = e.ask(ctx, c, n)
	}
	switch {
	case errors.As(err, &r):
		c.out(missRefused, r.Code, "%s", r.Error())
	case errors.Is(err, lease.ErrDishonest):
		c.out(missOther, Cheated, "%v", err)
	case errors.Is(err, wire.ErrMalformed):
		e.garbled(c.offer.Peer, err)
		c.out(missOther, wire.BadRequest, "its answer is malformed")
	case err != nil:
		e.cfg.Log.Debug("no quote", "peer", c.offer.Peer, "err", err)
		c.out(missRefused, NoProvider, "it can't be reached")
	default:
		c.quoted = &q
		c.expires = asked + time.Duration(q.Quote.ExpiresAt-q.SignedAt)*time.Millisecond //nolint:gosec // checked by checkQuote
	}
}

func (e *Engine) ask(ctx context.Context, c *candidate, n Need) (lease.Quoted, error) {
	parties, err := e.parties(c.offer.Peer)
	if err != nil {
		return lease.Quoted{}, err
	}
	block, err := n.request(e.cfg.Network, c.time).Encode()
	if err != nil {
		return lease.Quoted{}, err
	}
	c.request = block
	e.cfg.Supplier(c.offer.Peer)
	cfg := lease.NewConfig(parties, e.cfg.Token, e.salt)
	q, err := lease.Ask(ctx, e.cfg.Host, c.offer.Peer, parties, block, cfg, e.nowMillis())
	if err != nil {
		return lease.Quoted{}, err
	}
	return q, e.checkQuote(q, c, n)
}

// checkQuote sees that a quote is what was asked for. What it refuses is the
// provider's to put right, or tells of a clock that is wrong.
func (e *Engine) checkQuote(q lease.Quoted, c *candidate, n Need) error {
	skew := time.Duration(int64(e.nowMillis()-q.SignedAt)) * time.Millisecond //nolint:gosec // wraps as it should
	quote, t := q.Quote, q.Terms
	switch {
	case skew.Abs() > offer.Tolerance:
		return wire.Refuse(wire.ClockSkew, "its clock and this node's are %s apart; %s is allowed: set the one that is wrong", skew.Abs().Round(time.Second), offer.Tolerance)
	case quote.ExpiresAt <= q.SignedAt || quote.ExpiresAt-q.SignedAt > uint64(offer.Validity.Milliseconds()):
		return wire.Refuse(wire.BadRequest, "its quote is good for no time, or for more than %s", offer.Validity)
	case quote.StartBy-quote.ExpiresAt > uint64(maxPrepare.Milliseconds()):
		return wire.Refuse(wire.OverLimit, "it wants more than %s to prepare", maxPrepare)
	case quote.Unit != market.UnitMillis:
		return wire.Refuse(wire.NoMatch, "its quote counts something else than time")
	case n.Price != nil && n.Price.Less(quote.PricePerHour()):
		return wire.Refuse(wire.OverPrice, "it asks %s/h, your limit is %s/h", usd(quote.PricePerHour()), usd(*n.Price))
	case e.cfg.Clock.Now().Before(c.offer.ExpiresAt) && (c.price.Less(quote.PricePerHour()) || c.tick.Less(quote.TickPrice)):
		return overOffer(quote, c)
	case n.Total != nil && n.Total.Less(quote.Ceiling()):
		return wire.Refuse(OverTotal, "its quote could cost %s, limits.total leaves %s", usd(quote.Ceiling()), usd(*n.Total))
	case quote.MaxMillis != uint64(c.time.Milliseconds()): //nolint:gosec // above 0
		return wire.Refuse(wire.OverLimit, "it leases for %d ms, %d were asked for", quote.MaxMillis, c.time.Milliseconds())
	case t.MaxLog > market.MaxLogBytes || t.MaxOutput > market.MaxOutputBytes:
		return wire.Refuse(wire.OverLimit, "its terms let it send %s of log and %s of outputs; this node takes %s and %s at most",
			quantity.Human(t.MaxLog), quantity.Human(t.MaxOutput), quantity.Human(market.MaxLogBytes), quantity.Human(market.MaxOutputBytes))
	case t.PrepayTicks > maxPrepay:
		return wire.Refuse(wire.Credit, "it wants %d ticks paid ahead, this node pays %d", t.PrepayTicks, maxPrepay)
	case t.CPU < n.CPU || t.Memory < n.Memory || t.Disk < n.Disk || t.Executor != n.Executor || t.Network != e.cfg.Network:
		return wire.Refuse(wire.NoMatch, "its terms are less than was asked for")
	case !slices.Equal(t.Egress, n.Egress):
		return wire.Refuse(wire.NoMatch, "its terms grant another egress than was asked for")
	}
	return checkDevices(t, n)
}

// overOffer says how a quote is dearer than the offer that its provider signed,
// which is still good: by the hour, or by a longer tick, and so more to prepay.
func overOffer(q market.Quote, c *candidate) error {
	if c.price.Less(q.PricePerHour()) {
		return wire.Refuse(wire.OverPrice, "it quotes %s/h, its own signed offer says %s/h", usd(q.PricePerHour()), usd(c.price))
	}
	return wire.Refuse(wire.OverPrice, "it quotes %s for a tick, its own signed offer says %s", usd(q.TickPrice), usd(c.tick))
}

// checkDevices sees that the terms have the GPUs that are needed, real ones
// unless simulated ones will do.
func checkDevices(t market.Terms, n Need) error {
	need, err := n.devices()
	if err != nil || need.Count == 0 {
		return err
	}
	for _, d := range t.Devices {
		has := device.Device{Model: d.Model, Slug: d.Slug, VRAM: d.VRAM, Kind: device.Kind(d.Evidence)}
		if d.Count < need.Count || !need.Match(has) {
			continue
		}
		if n.Exclusive && d.Shared {
			return wire.Refuse(wire.NoMatch, "its terms share the %s with other leases", need)
		}
		return nil
	}
	return wire.Refuse(wire.NoMatch, "its terms lease no %s", fmt.Sprint(need))
}
