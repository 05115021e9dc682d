package challenge

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/offer"
)

// Reason names what a provider was caught at.
type Reason string

// The reasons. A provider that refuses or breaks off is not caught: then Run returns an error.
const (
	WrongProduct   Reason = "wrong_product"   // a product that was shown isn't what was asked for
	CommitMismatch Reason = "commit_mismatch" // what was shown isn't what was committed to
	TooSlow        Reason = "too_slow"        // slower than the rate that is claimed
	SharedDevice   Reason = "shared_device"   // all devices at once are slower than one of them alone
	LessMemory     Reason = "less_memory"     // memory that was promised can't be filled
	SlowMemory     Reason = "slow_memory"     // memory is recomputed, or far slower than claimed
	WrongMemory    Reason = "wrong_memory"    // what was read from memory isn't what was filled in
	BadAnswer      Reason = "bad_answer"      // an answer that no correct provider gives
)

// Slow tells that a deadline was missed, which load or heat can do to an honest
// provider once in a while; every other reason needs a wrong answer.
func (r Reason) Slow() bool { return r == TooSlow || r == SharedDevice || r == SlowMemory }

// Claim is what a provider says of like devices, and what is to be touched of it.
type Claim struct {
	Lease  market.Hash // the asker's lease of the devices; zero: free ones
	Slug   string
	Count  int
	Blocks uint64 // of each device's memory to fill; 0: memory is left out
	Mops   uint64 // of each device; 0: nobody claims a rate
	MBps   uint64 // of each device; 0: nobody claims one
	// Beside says that something else runs on the devices meanwhile, such as the
	// lease's own job: no time is held against them, and nothing is measured.
	Beside bool
}

// Verdict is what a challenge showed. All rates are lower bounds: the network's
// time that wasn't seen in pings counts as the devices'.
type Verdict struct {
	Caught    Reason        `json:"caught,omitempty"` // empty: it stood the test
	Sentence  string        `json:"sentence"`
	Simulated bool          `json:"simulated,omitempty"` // no device computed; nothing here is measured
	Beside    bool          `json:"beside,omitempty"`    // something else ran on the devices; no time was held against them
	Slug      string        `json:"slug"`
	Count     int           `json:"count"`
	One       uint64        `json:"one"`       // millions of multiplications with addition per second, of one device alone
	All       uint64        `json:"all"`       // of all devices at once
	MBps      uint64        `json:"mbps"`      // 10^6 bytes read per second, of all devices at once
	Touched   uint64        `json:"touched"`   // bytes that were filled and read, of all devices together
	StepNanos uint64        `json:"stepNanos"` // of one read after another, at most
	RTT       time.Duration `json:"rtt"`       // the shortest ping
}

// caught is how a check ends a challenge.
type caught struct {
	reason   Reason
	sentence string
}

func (c *caught) Error() string { return c.sentence }

func catch(r Reason, format string, args ...any) error {
	return &caught{r, fmt.Sprintf(format, args...)}
}

// conclude makes the verdict of how a challenge ended; other errors stay errors.
func (v Verdict) conclude(err error) (Verdict, error) {
	var c *caught
	switch {
	case errors.As(err, &c):
		v.Caught, v.Sentence = c.reason, c.sentence
		return v, nil
	case err != nil:
		return v, err
	}
	v.Sentence = fmt.Sprintf("%dx %s multiply %d million residues/s together", v.Count, v.Slug, v.All)
	if v.Touched > 0 { // else memory was left out
		v.Sentence += fmt.Sprintf(", read %d MB/s, and touched %d MiB", v.MBps, v.Touched>>20)
	}
	if v.Beside {
		v.Sentence += ", beside what else runs on them"
	}
	if v.Simulated {
		v.Sentence += "; simulated on a CPU, so nothing is measured"
	}
	return v, nil
}

// Blocks is how much of a device's memory is asked for where all of it is meant:
// four fifths, for drivers and displays have the rest.
func Blocks(vram int64) uint64 { return uint64(max(vram, 0)) / 5 * 4 / BlockBytes } //nolint:gosec // not negative

// Measures tells that the figures are those of the devices.
func (v Verdict) Measures() bool { return v.Caught == "" && !v.Simulated && !v.Beside }

// Measurement is what a verdict says of a provider's devices, to be signed. One
// that accuses, is of simulated devices or of busy ones makes none that verifies.
func (v Verdict) Measurement(provider peer.ID, at time.Time) offer.Measurement {
	m := offer.Measurement{Provider: provider, Slug: v.Slug, Count: v.Count, At: at}
	if v.Measures() {
		m.Mops, m.MBps, m.Touched = v.All, v.MBps, v.Touched
	}
	return m
}
