package client

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/internal/quantity"
	"souk/node/device"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// miss says how near a provider came to being leasable, the nearest last.
type miss int

const (
	missOther     miss = iota // another network or token; one that cheated or failed this job
	missKind                  // has no such GPU, or too little of something for ever
	missExecutor              // has it; runs no such jobs
	missEgress                // has it; grants jobs no network
	missChallenge             // has it; has no device challenged
	missRegion                // has it, elsewhere
	missSim                   // has it simulated
	missTotal                 // has it; limits.total doesn't pay for one tick
	missPrice                 // has it, above the price limit
	missBusy                  // has it, not free now
	missDisputed              // has it, and demands money for an earlier lease
	missRefused               // was asked for a quote and gave none
	noMiss
)

// candidate is one offer under consideration.
type candidate struct {
	offer  offer.Offer
	known  ledger.Peer
	price  market.Amount // per hour, as it follows from the tick's price
	tick   market.Amount
	time   time.Duration // that is asked for: less than needed where limits.total says so
	miss   miss
	code   wire.Code
	whyNot string
	remedy string // of a dispute
	note   string // what is worth knowing about one that fits

	request  []byte // what the quote answers
	hold     bool   // its devices are challenged under the lease
	quoted   *lease.Quoted
	expires  time.Duration // of the quote, on the monotonic clock
	requoted int           // times that a quote was outdated
}

func (c *candidate) out(m miss, code wire.Code, format string, args ...any) {
	c.miss, c.code, c.whyNot = m, code, fmt.Sprintf(format, args...)
}

func (c *candidate) fits() bool { return c.miss == noMiss }

// leasable tells that it fits and gave a quote.
func (c *candidate) leasable() bool { return c.fits() && c.quoted != nil }

// judge makes a candidate of an offer and says whether it could be leased.
func (e *Engine) judge(o offer.Offer, known ledger.Peer, n Need) *candidate {
	c := &candidate{offer: o, known: known, miss: noMiss}
	ms := uint64(o.Tick.Milliseconds()) //nolint:gosec // checked when the offer was read
	c.tick = market.TickPrice(o.PricePerHour, ms)
	c.price = market.Quote{TickPrice: c.tick, TickUnits: ms}.PricePerHour()
	c.time = min(n.Time, o.MaxTime)
	e.judgeParty(c, n)
	if c.fits() {
		c.judgeMachine(n)
	}
	if c.fits() && len(n.Egress) > 0 && !c.offer.Egress {
		c.out(missEgress, wire.NoMatch, "it grants jobs no network, you need egress")
	}
	if c.fits() && n.Executor != "" && !slices.Contains(c.offer.Executors, n.Executor) {
		c.out(missExecutor, wire.NoMatch, "it runs no %s", jobsOf(n.Executor))
	}
	if c.fits() {
		c.judgePrice(n)
	}
	return c
}

func (e *Engine) judgeParty(c *candidate, n Need) {
	o := c.offer
	switch {
	case c.known.Cheated > 0:
		c.out(missOther, Cheated, "it cheated this node before: %s", c.known.LastFault)
	case n.avoid[o.Peer]:
		c.out(missOther, ProviderFailed, "it failed this job already")
	case o.Chain != e.chain || o.Token != e.cfg.Token:
		c.out(missOther, wire.NoMatch, "it settles in another token or on another chain")
	}
}

// judgePast leaves out one that would refuse a lease because of an earlier one.
func (c *candidate) judgePast(tx *ledger.Tx) error {
	if !c.fits() {
		return nil
	}
	d, err := readDisputes(tx, c.offer.Peer.String())
	if err != nil {
		return err
	}
	x, any := d.obstacle()
	switch {
	case !any:
	case x.Left:
		c.out(missOther, Disputed, "%s", x.sentence())
	default:
		c.remedy = x.remedy()
		c.out(missDisputed, Disputed, "%s", x.sentence())
	}
	return nil
}

func (c *candidate) judgeMachine(n Need) {
	o := c.offer
	switch {
	case max(o.CPU, o.CPUTotal) < n.CPU:
		c.out(missKind, wire.NoMatch, "it has %d cores, you need %d", max(o.CPU, o.CPUTotal), n.CPU)
	case max(o.Memory, o.MemoryTotal) < n.Memory:
		c.out(missKind, wire.NoMatch, "it has %s of memory, you need %s", quantity.Human(max(o.Memory, o.MemoryTotal)), quantity.Human(n.Memory))
	case max(o.Disk, o.DiskTotal) < n.Disk:
		c.out(missKind, wire.NoMatch, "it has %s of disk, you need %s", quantity.Human(max(o.Disk, o.DiskTotal)), quantity.Human(n.Disk))
	default:
		c.judgeDevices(n)
		c.judgeFree(n)
	}
	if c.fits() && n.Region != anyRegion && n.Region != o.Region {
		c.out(missRegion, wire.NoMatch, "it is in region %s, not %s", orUnnamed(printable(o.Region)), n.Region)
	}
	if c.fits() && o.MaxTime < n.Time {
		c.out(missKind, wire.OverLimit, "it leases for %s at most, you need %s", o.MaxTime, n.Time)
	}
}

// judgeFree tells what others have leased now from what isn't there at all.
func (c *candidate) judgeFree(n Need) {
	o := c.offer
	switch {
	case !c.fits():
	case o.CPU < n.CPU:
		c.out(missBusy, wire.Busy, "%d of its %d cores are free now, you need %d", o.CPU, o.CPUTotal, n.CPU)
	case o.Memory < n.Memory:
		c.out(missBusy, wire.Busy, "%s of its memory is free now, you need %s", quantity.Human(o.Memory), quantity.Human(n.Memory))
	case o.Disk < n.Disk:
		c.out(missBusy, wire.Busy, "%s of its disk is free now, you need %s", quantity.Human(o.Disk), quantity.Human(n.Disk))
	}
}

// jobsOf is what an executor runs, for people.
func jobsOf(executor string) string {
	switch executor {
	case market.KindWASM:
		return "WASM"
	case market.KindDocker:
		return "images"
	}
	return executor + " jobs"
}

func orUnnamed(s string) string {
	if s == "" {
		return "unnamed"
	}
	return s
}

func (c *candidate) judgeDevices(n Need) {
	need, err := n.devices()
	if err != nil {
		c.out(missKind, wire.BadRequest, "%v", err)
		return
	}
	if need.Count == 0 {
		return
	}
	real, free, simulated, useless := 0, 0, 0, 0
	for _, d := range c.offer.Devices {
		has := device.Device{Model: d.Model, Slug: d.Slug, VRAM: d.VRAM, Kind: device.Kind(d.Evidence)}
		switch {
		case has.Kind != device.Simulated && c.onlyWASM(n) && need.Match(has):
			useless = max(useless, d.Count)
		case need.Match(has):
			real, free = max(real, d.Count), max(free, d.Free)
		case withSimulated(need).Match(has):
			simulated = max(simulated, d.Count)
		}
	}
	switch {
	case n.Challenge && c.offer.Challenge == offer.ChallengeOff && real >= need.Count:
		c.out(missChallenge, wire.NoMatch, "it takes no challenges")
	case free >= need.Count:
	case real >= need.Count:
		c.out(missBusy, wire.Busy, "it has %s, %d of %d free now", need, free, real)
	case useless >= need.Count && n.Executor == "":
		c.out(missExecutor, wire.NoMatch, "it runs no images, and a WASM job can't use a GPU")
	case useless >= need.Count:
		c.out(missKind, wire.NoMatch, "a WASM job can't use a GPU; use an image")
	case simulated >= need.Count:
		c.out(missSim, wire.NoMatch, "its %s is simulated", model(need))
	case real > 0:
		c.out(missKind, wire.NoMatch, "it has %d of the %d GPUs that you need", real, need.Count)
	default:
		c.out(missKind, wire.NoMatch, "it has no %s", model(need))
	}
}

// onlyWASM tells of jobs that they could be nothing but WASM there.
func (c *candidate) onlyWASM(n Need) bool {
	return n.Executor == market.KindWASM || n.Executor == "" && slices.Equal(c.offer.Executors, []string{market.KindWASM})
}

// model names what is needed within a sentence, where "any" would be no noun.
func model(n device.Need) string {
	if n.Name == "" && n.Slug == "" {
		n.Name = "GPU"
	}
	return n.String()
}

func withSimulated(n device.Need) device.Need {
	n.AllowSimulated = true
	return n
}

// judgePrice also fits the time that is asked for into limits.total.
func (c *candidate) judgePrice(n Need) {
	if n.Price != nil && n.Price.Less(c.price) {
		c.out(missPrice, wire.OverPrice, "it asks %s/h, your limit is %s/h", usd(c.price), usd(*n.Price))
		return
	}
	if n.Total == nil || c.tick.IsZero() {
		return
	}
	ticks := affordable(*n.Total, c.tick, ticksIn(c.time, c.offer.Tick))
	if ticks == 0 {
		c.out(missTotal, OverTotal, "one tick of %s costs %s, what is left of limits.total is %s", c.offer.Tick, usd(c.tick), usd(*n.Total))
		return
	}
	if most := time.Duration(ticks) * c.offer.Tick; most < c.time { //nolint:gosec // not above ticksIn
		c.note = fmt.Sprintf("limits.total pays for %s of the %s; %s would pay for all", most, c.time, usd(c.tick.Times(ticksIn(c.time, c.offer.Tick))))
		c.time = most
	}
}

func ticksIn(t, tick time.Duration) uint64 {
	return uint64((t + tick - 1) / tick) //nolint:gosec // both are above 0
}

// affordable is the most ticks, up to limit, that total pays for.
func affordable(total, tick market.Amount, limit uint64) uint64 {
	low, high := uint64(0), limit
	for low < high {
		mid := high - (high-low)/2
		if total.Less(tick.Times(mid)) {
			high = mid - 1
		} else {
			low = mid
		}
	}
	return low
}

// speed is in loops per second: what own receipts showed, or else what the offer says.
func (c *candidate) speed() (loops uint64, from string) {
	if c.known.Speed > 0 {
		return c.known.Speed, "own receipts"
	}
	return c.offer.Speed, "offer"
}

// executors are what the provider says that it runs; plausible limits their number.
func (c *candidate) executors() (out []string) {
	for _, e := range c.offer.Executors {
		out = append(out, printable(e))
	}
	return out
}

func (c *candidate) devices() string {
	var parts []string
	for _, d := range c.offer.Devices {
		text := fmt.Sprintf("%dx %s %s (%s)", d.Count, printable(d.Model), quantity.Human(d.VRAM), printable(d.Evidence))
		if d.Shared {
			text += " (shared)"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "CPU only"
	}
	return strings.Join(parts, ", ")
}

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }
