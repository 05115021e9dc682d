// Package offer is /souk/offer/1.0.0: a provider's signed, expiring statement
// of what it has free and its price, asked of the provider itself or handed
// on by its neighbours.
//
// It promises that an Offer that Open or Ask returned was signed by the peer
// it is about, is for the asked network, and has not expired. What it says is
// still only a claim; a quote makes it a promise.
package offer

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
)

// Limits of an offer (DESIGN §7, §11).
const (
	MaxBytes  = 2 << 10
	MaxAddrs  = 8
	Validity  = 10 * time.Minute
	Tolerance = 5 * time.Minute // of clocks that differ

	MaxKinds     = 32 // of device
	MaxExecutors = 8
	maxWord      = 64 // bytes
)

// Device is a kind of GPU with how many of it are free, and whether leases
// share it. Its evidence is "measured" if and only if there are measurements.
type Device struct {
	market.Device
	Free     int
	Measured []Measurement
}

// Offer is what a provider has free and its price.
type Offer struct {
	Network      string
	Peer         peer.ID
	Sequence     uint64 // the highest one wins
	ExpiresAt    time.Time
	Addrs        []ma.Multiaddr
	Devices      []Device
	CPU          int   // cores free now
	Memory       int64 // bytes free now
	Disk         int64 // bytes free now
	CPUTotal     int   // when nothing is leased
	MemoryTotal  int64
	DiskTotal    int64
	Executors    []string
	Speed        uint64 // loops per second of souk's fixed WASM module
	Region       string
	PricePerHour market.Amount
	Token        market.Address
	Settlement   string
	Chain        market.Chain
	Depth        int
	Tick         time.Duration
	MaxTime      time.Duration
	Challenge    Challenge
	Egress       bool // whether leases may grant jobs egress
}

// Challenge says whose challenges a provider answers. What else stands there is
// as good as nothing.
type Challenge string

// What offers say of challenges.
const (
	ChallengeFree  Challenge = "free"  // anybody's, on free devices; and those of leases
	ChallengeLease Challenge = "lease" // under the asker's running lease only
	ChallengeOff   Challenge = "off"   // nobody's
)

// Reasons why an offer isn't one.
var (
	ErrInvalid      = errors.New("invalid offer")
	ErrExpired      = errors.New("offer has expired")
	ErrAhead        = errors.New("offer is from the future")
	ErrOtherNetwork = errors.New("offer is for another network")
)

// rec puts an offer in libp2p's signed envelopes, under a domain of souk's own.
type rec struct{ pb.Offer }

var _ record.Record = (*rec)(nil)

func (*rec) Domain() string { return "souk-offer" }
func (*rec) Codec() []byte  { return []byte("/souk/offer/1") }

func (r *rec) MarshalRecord() ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(&r.Offer)
}

func (r *rec) UnmarshalRecord(b []byte) error { return proto.Unmarshal(b, &r.Offer) }

// Seal signs an offer with its peer's key. Of the measurements it leaves out
// the oldest as far as the offer has no room for them.
func Seal(o Offer, key crypto.PrivKey) ([]byte, error) {
	o.Devices = slices.Clone(o.Devices)
	for countMeasured(o.Devices) > MaxAllMeasured {
		dropOldest(o.Devices)
	}
	for {
		b, err := seal(o, key)
		if len(b) <= MaxBytes || err != nil {
			return b, err
		}
		if !dropOldest(o.Devices) {
			return nil, fmt.Errorf("%w: %d bytes, %d are allowed: offer fewer kinds of device or addresses", ErrInvalid, len(b), MaxBytes)
		}
	}
}

func countMeasured(devices []Device) (n int) {
	for _, d := range devices {
		n += len(d.Measured)
	}
	return n
}

func seal(o Offer, key crypto.PrivKey) ([]byte, error) {
	r := &rec{}
	fill(&r.Offer, o)
	env, err := record.Seal(r, key)
	if err != nil {
		return nil, err
	}
	return env.Marshal()
}

// Open checks a sealed offer: size, signature, peer, network, expiry, figures.
func Open(sealed []byte, network string, now time.Time) (Offer, error) {
	if len(sealed) > MaxBytes {
		return Offer{}, fmt.Errorf("%w: %d bytes, %d are allowed", ErrInvalid, len(sealed), MaxBytes)
	}
	r := &rec{}
	env, err := record.ConsumeTypedEnvelope(sealed, r)
	if err != nil {
		return Offer{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	o, err := read(&r.Offer, now)
	if err != nil {
		return Offer{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !o.Peer.MatchesPublicKey(env.PublicKey) {
		return Offer{}, fmt.Errorf("%w: signed by another peer than it is about", ErrInvalid)
	}
	if o.Network != network {
		return Offer{}, fmt.Errorf("%w: %q, not %q", ErrOtherNetwork, o.Network, network)
	}
	if now.After(o.ExpiresAt.Add(Tolerance)) {
		return Offer{}, fmt.Errorf("%w %s ago", ErrExpired, now.Sub(o.ExpiresAt).Round(time.Second))
	}
	if o.ExpiresAt.After(now.Add(Validity + Tolerance)) {
		return Offer{}, fmt.Errorf("%w: %w: it is valid for %s, %s is allowed: is a clock wrong?", ErrInvalid, ErrAhead, o.ExpiresAt.Sub(now).Round(time.Second), Validity)
	}
	return o, nil
}
