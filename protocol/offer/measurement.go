package offer

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/pb"
)

// Limits of measurements. An offer that gets too large with them leaves the oldest out.
const (
	MaxMeasured    = 2                   // of one kind of device
	MaxAllMeasured = 4                   // in one offer
	MeasuredFor    = 30 * 24 * time.Hour // a measurement is shown so long
	maxSignature   = 80                  // bytes; secp256k1's take 72 at most
	maxPeerBytes   = 64
)

// ErrMeasurement is a measurement that proves nothing: malformed, out of its
// time, or not signed by whom it names.
var ErrMeasurement = errors.New("invalid measurement")

// Measurement is what somebody who challenged like devices of a provider says
// of them. It is worth what By's word is worth: the provider's own, where it
// measured itself.
type Measurement struct {
	Provider  peer.ID
	Slug      string
	Count     int       // devices that were challenged at once
	Mops      uint64    // millions of multiplications with addition modulo 2^31-1 per second, together
	MBps      uint64    // 10^6 bytes per second, together; 0: memory was left out
	Touched   uint64    // bytes that were filled and read, together
	At        time.Time // to the millisecond
	By        peer.ID
	Signature []byte
}

// signed is what the signature is over: the domain and each field, all
// strings after their length in 4 bytes, all numbers in 8 bytes, big-endian.
func (m Measurement) signed(network string) []byte {
	var b []byte
	for _, s := range []string{"souk-measurement-1", network, string(m.Provider), m.Slug, string(m.By)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) //nolint:gosec // short
	}
	for _, n := range []uint64{uint64(m.Count), m.Mops, m.MBps, m.Touched, uint64(m.At.UnixMilli())} { //nolint:gosec // not negative
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// Sign signs a measurement as the key's peer.
func (m Measurement) Sign(network string, key crypto.PrivKey) (Measurement, error) {
	by, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return m, err
	}
	m.By, m.At = by, m.At.Truncate(time.Millisecond)
	m.Signature, err = key.Sign(m.signed(network))
	return m, err
}

// Verify checks figures, time and signature.
func (m Measurement) Verify(network string, now time.Time) error {
	switch {
	case m.Slug == "" || len(m.Slug) > 64 || m.Count < 1 || m.Count > market.MaxGPUs || m.Mops < 1 || m.Mops > most || m.MBps > most || m.Touched > most:
		return fmt.Errorf("%w: figures that no device has", ErrMeasurement)
	case m.At.After(now.Add(Tolerance)), m.At.Before(now.Add(-MeasuredFor - Tolerance)):
		return fmt.Errorf("%w: of %s; one counts for %s", ErrMeasurement, m.At.UTC().Format(time.RFC3339), MeasuredFor)
	}
	key, err := m.By.ExtractPublicKey()
	if err != nil {
		return fmt.Errorf("%w: its measurer's ID holds no key: %w", ErrMeasurement, err)
	}
	if ok, err := key.Verify(m.signed(network), m.Signature); err != nil || !ok {
		return fmt.Errorf("%w: not signed by the peer that it names", ErrMeasurement)
	}
	return nil
}

// Own tells that the provider measured itself.
func (m Measurement) Own() bool { return m.By == m.Provider }

// Proto is the measurement as it travels alone.
func (m Measurement) Proto() *pb.Measurement {
	return &pb.Measurement{
		Provider: []byte(m.Provider), Slug: m.Slug, Count: uint32(m.Count), Mops: m.Mops, Mbps: m.MBps, Touched: m.Touched, //nolint:gosec // at most market.MaxGPUs
		At: uint64(m.At.UnixMilli()), By: []byte(m.By), Signature: m.Signature, //nolint:gosec // after 1970
	}
}

// ReadMeasurement reads one that travelled alone; Verify is still to be called.
func ReadMeasurement(p *pb.Measurement) (m Measurement, err error) {
	if len(p.GetProvider()) > maxPeerBytes || len(p.GetBy()) > maxPeerBytes || len(p.GetSignature()) > maxSignature ||
		p.GetAt() > most || p.GetCount() > market.MaxGPUs {
		return m, fmt.Errorf("%w: fields over their limits", ErrMeasurement)
	}
	m = Measurement{
		Slug: p.GetSlug(), Count: int(p.GetCount()), Mops: p.GetMops(), MBps: p.GetMbps(), Touched: p.GetTouched(),
		At: time.UnixMilli(int64(p.GetAt())), Signature: p.GetSignature(), //nolint:gosec // checked above
	}
	if m.Provider, err = peer.IDFromBytes(p.GetProvider()); err != nil {
		return m, fmt.Errorf("%w: provider: %w", ErrMeasurement, err)
	}
	if m.By, err = peer.IDFromBytes(p.GetBy()); err != nil {
		return m, fmt.Errorf("%w: by: %w", ErrMeasurement, err)
	}
	return m, nil
}

// inOffer leaves out what the offer says anyway.
func (m Measurement) inOffer() *pb.Measurement {
	p := m.Proto()
	p.Provider, p.Slug = nil, ""
	if m.Own() {
		p.By = nil
	}
	return p
}

// readMeasured reads what an offer shows of one kind of device, which all has
// to be valid; a device is measured if and only if there is something.
func readMeasured(p *pb.Offer, d *pb.Device, now time.Time) (out []Measurement, err error) {
	for _, q := range d.GetMeasured() {
		whole := &pb.Measurement{
			Provider: p.GetPeer(), Slug: d.GetSlug(), Count: q.GetCount(), Mops: q.GetMops(), Mbps: q.GetMbps(), Touched: q.GetTouched(),
			At: q.GetAt(), By: q.GetBy(), Signature: q.GetSignature(),
		}
		if len(whole.GetBy()) == 0 {
			whole.By = p.GetPeer()
		}
		m, err := ReadMeasurement(whole)
		if err != nil {
			return nil, err
		}
		if err := m.Verify(p.GetNetwork(), now); err != nil {
			return nil, err
		}
		if m.Count > int(d.GetCount()) {
			return nil, fmt.Errorf("%w: of %d devices where %d are offered", ErrMeasurement, m.Count, d.GetCount())
		}
		out = append(out, m)
	}
	if (d.GetEvidence() == market.Measured) != (len(out) > 0) || len(out) > MaxMeasured {
		return nil, fmt.Errorf("%w: a device is %q with %d measurements; a measured one has 1 to %d", ErrMeasurement, d.GetEvidence(), len(out), MaxMeasured)
	}
	return out, nil
}

// dropOldest leaves out the oldest measurement of all; a device that has none
// left is as its driver claims. It tells whether there was one.
func dropOldest(devices []Device) bool {
	at := -1
	for i, d := range devices {
		if len(d.Measured) > 0 && (at < 0 || oldest(d).Before(oldest(devices[at]))) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	d := &devices[at]
	d.Measured = slices.Clone(d.Measured)
	slices.SortStableFunc(d.Measured, newestFirst)
	if d.Measured = d.Measured[:len(d.Measured)-1]; len(d.Measured) == 0 {
		d.Measured, d.Evidence = nil, market.Claimed
	}
	return true
}

func oldest(d Device) time.Time { return slices.MaxFunc(d.Measured, newestFirst).At }

func newestFirst(a, b Measurement) int {
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.By, b.By))
}
