package challenge

import (
	"strings"
	"unicode/utf8"

	"souk/internal/modmath"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Start asks for devices.
type Start struct {
	Lease  market.Hash // the asker's running lease whose devices are meant; zero: free devices
	Slug   string
	Count  int    // 1 to MaxCount
	Blocks uint64 // the most of each device's memory that will be asked for
}

// Ready says what may be asked of the devices that are held.
type Ready struct {
	Blocks    uint64 // at most those of the start
	Simulated bool   // only the provider's CPU computes
}

func readStart(p *pb.ChallengeStart, network string) (s Start, err error) {
	if p == nil {
		return s, wire.Malformed("a challenge begins with a start")
	}
	if p.GetNetwork() != network {
		return s, wire.Refuse(wire.WrongNetwork, "this node is on the network %q", network)
	}
	slug := p.GetSlug()
	badSlug := slug == "" || len(slug) > slugBytes || !utf8.ValidString(slug) || strings.ContainsFunc(slug, func(r rune) bool { return r <= ' ' || r == 0x7f })
	if badSlug || p.GetCount() < 1 || p.GetCount() > MaxCount || p.GetBlocks() > modmath.MaxBlocks {
		return s, wire.Malformed("%d devices of slug %.64q with %d blocks: 1 to %d, of a printable slug, with at most %d can be asked for",
			p.GetCount(), slug, p.GetBlocks(), MaxCount, uint64(modmath.MaxBlocks))
	}
	if len(p.GetLease()) > 0 {
		if s.Lease, err = market.HashFrom(p.GetLease()); err != nil {
			return s, wire.Malformed("%v", err)
		}
	}
	s.Slug, s.Count, s.Blocks = slug, int(p.GetCount()), p.GetBlocks()
	return s, nil
}

func (s Start) proto(network string) *pb.ChallengeStart {
	p := &pb.ChallengeStart{Network: network, Slug: s.Slug, Count: uint32(s.Count), Blocks: s.Blocks} //nolint:gosec // at most MaxCount
	if s.Lease != (market.Hash{}) {
		p.Lease = s.Lease[:]
	}
	return p
}

// readProduct makes the jobs that a question asks for, each with a seed of its own.
func readProduct(q *pb.ChallengeProduct, count int, parties Parties) ([]ProductJob, error) {
	devices := q.GetDevices()
	if len(q.GetNonce()) != nonceBytes || len(devices) < 1 || len(devices) > count {
		return nil, wire.Malformed("a product on %d of %d devices, with a nonce of %d bytes; %d are right", len(devices), count, len(q.GetNonce()), nonceBytes)
	}
	n := int(q.GetN())
	if n < 1 || n > MaxOrder || 4*n*n*len(devices) > MaxResult || q.GetRounds() < 1 || q.GetRounds() > modmath.MaxRounds {
		return nil, wire.Refuse(wire.OverLimit, "%d products of order %d and %d rounds", len(devices), q.GetN(), q.GetRounds()).
			Near("an order of at most %d, %d rounds and %d bytes of results", MaxOrder, modmath.MaxRounds, MaxResult)
	}
	jobs := make([]ProductJob, len(devices))
	for i, d := range devices {
		if int(d) >= count || i > 0 && d <= devices[i-1] {
			return nil, wire.Malformed("devices are named in order, each once, by numbers under %d", count)
		}
		jobs[i] = ProductJob{Device: int(d), Product: modmath.Product{
			Seed: parties.seed(productPhase, q.GetNonce(), int(d)), N: n, Rounds: int(q.GetRounds()),
		}}
	}
	return jobs, nil
}
