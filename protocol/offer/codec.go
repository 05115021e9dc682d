package offer

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/protocol/market"
	"souk/protocol/pb"
)

func fill(p *pb.Offer, o Offer) {
	p.Network, p.Peer, p.Sequence = o.Network, []byte(o.Peer), o.Sequence
	p.ExpiresAt = uint64(o.ExpiresAt.UnixMilli()) //nolint:gosec // after 1970
	for _, a := range o.Addrs[:min(len(o.Addrs), MaxAddrs)] {
		p.Addresses = append(p.Addresses, a.Bytes())
	}
	for _, d := range o.Devices {
		q := &pb.Device{
			Model: d.Model, Slug: d.Slug, Vram: uint64(d.VRAM), Evidence: d.Evidence, //nolint:gosec // own figures
			Count: uint32(d.Count), Free: uint32(d.Free), Shared: d.Shared, //nolint:gosec // own figures
		}
		for _, m := range d.Measured {
			q.Measured = append(q.Measured, m.inOffer())
		}
		p.Devices = append(p.Devices, q)
	}
	p.Cpu, p.Memory, p.Disk = uint32(o.CPU), uint64(o.Memory), uint64(o.Disk)                               //nolint:gosec // own figures
	p.CpuTotal, p.MemoryTotal, p.DiskTotal = uint32(o.CPUTotal), uint64(o.MemoryTotal), uint64(o.DiskTotal) //nolint:gosec // own figures
	p.Executors, p.Speed, p.Region = o.Executors, o.Speed, o.Region
	p.PricePerHour, p.Token, p.Settlement = o.PricePerHour.String(), o.Token[:], o.Settlement
	p.ChainId, p.Contract, p.Depth = o.Chain.ID, o.Chain.Contract[:], uint32(o.Depth) //nolint:gosec // 0 to 12
	p.Challenge, p.Egress = string(o.Challenge), o.Egress
	p.TickMillis, p.MaxMillis = uint64(o.Tick.Milliseconds()), uint64(o.MaxTime.Milliseconds()) //nolint:gosec // own figures
}

func read(p *pb.Offer, now time.Time) (Offer, error) {
	id, err := peer.IDFromBytes(p.GetPeer())
	if err != nil {
		return Offer{}, fmt.Errorf("peer: %w", err)
	}
	price, err := market.ParseAmount(p.GetPricePerHour())
	if err != nil {
		return Offer{}, fmt.Errorf("price: %w", err)
	}
	token, err := market.AddressFrom(p.GetToken())
	if err != nil {
		return Offer{}, fmt.Errorf("token: %w", err)
	}
	contract, err := market.AddressFrom(p.GetContract())
	if err != nil {
		return Offer{}, fmt.Errorf("contract: %w", err)
	}
	if err := plausible(p); err != nil {
		return Offer{}, err
	}
	o := Offer{
		Network: p.GetNetwork(), Peer: id, Sequence: p.GetSequence(), ExpiresAt: time.UnixMilli(int64(p.GetExpiresAt())), //nolint:gosec // checked by plausible
		CPU: int(p.GetCpu()), Memory: int64(p.GetMemory()), Disk: int64(p.GetDisk()), //nolint:gosec // checked by plausible
		CPUTotal: int(p.GetCpuTotal()), MemoryTotal: int64(p.GetMemoryTotal()), DiskTotal: int64(p.GetDiskTotal()), //nolint:gosec // checked by plausible
		Executors: p.GetExecutors(), Speed: p.GetSpeed(), Region: p.GetRegion(), PricePerHour: price, Token: token,
		Settlement: p.GetSettlement(), Chain: market.Chain{ID: p.GetChainId(), Contract: contract}, Depth: int(p.GetDepth()),
		Tick:      time.Duration(p.GetTickMillis()) * time.Millisecond, //nolint:gosec // checked by plausible
		MaxTime:   time.Duration(p.GetMaxMillis()) * time.Millisecond,  //nolint:gosec // checked by plausible
		Challenge: Challenge(p.GetChallenge()), Egress: p.GetEgress(),
	}
	for _, d := range p.GetDevices() {
		measured, err := readMeasured(p, d, now)
		if err != nil {
			return Offer{}, err
		}
		o.Devices = append(o.Devices, Device{Free: int(d.GetFree()), Measured: measured, Device: market.Device{
			Model: d.GetModel(), Slug: d.GetSlug(), VRAM: int64(d.GetVram()), Count: int(d.GetCount()), Evidence: d.GetEvidence(), Shared: d.GetShared(), //nolint:gosec // checked by plausible
		}})
	}
	for _, raw := range p.GetAddresses() {
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil {
			return Offer{}, fmt.Errorf("address: %w", err)
		}
		o.Addrs = append(o.Addrs, a)
	}
	return o, nil
}

const most = 1 << 62 // no size or time in an offer reaches this

// plausible keeps figures in the range of the types they are read into, and
// words short and printable.
func plausible(p *pb.Offer) error {
	words := append([]string{p.GetNetwork(), p.GetRegion(), p.GetSettlement(), p.GetChallenge()}, p.GetExecutors()...)
	if len(p.GetAddresses()) > MaxAddrs || len(p.GetDevices()) > MaxKinds || len(p.GetExecutors()) > MaxExecutors {
		return fmt.Errorf("more than %d addresses, %d kinds of device or %d executors", MaxAddrs, MaxKinds, MaxExecutors)
	}
	if p.GetMemory() > most || p.GetDisk() > most || p.GetExpiresAt() > most || p.GetCpu() > market.MaxCPU || p.GetDepth() > 12 {
		return fmt.Errorf("a figure that no machine has")
	}
	if p.GetMemoryTotal() > most || p.GetDiskTotal() > most || p.GetCpuTotal() > market.MaxCPU {
		return fmt.Errorf("a total that no machine has")
	}
	if t := p.GetTickMillis(); t < market.MinTickMillis || t > market.MaxTickMillis || p.GetMaxMillis() > market.MaxLeaseMillis {
		return fmt.Errorf("a tick of %d ms, or a longest time of %d ms", t, p.GetMaxMillis())
	}
	measured := 0
	for _, d := range p.GetDevices() {
		if measured += len(d.GetMeasured()); measured > MaxAllMeasured {
			return fmt.Errorf("more than %d measurements", MaxAllMeasured)
		}
		if d.GetVram() > most || d.GetCount() > market.MaxGPUs || d.GetFree() > d.GetCount() {
			return fmt.Errorf("device figures that no machine has")
		}
		words = append(words, d.GetModel(), d.GetSlug(), d.GetEvidence())
	}
	for _, w := range words {
		if len(w) > maxWord || !utf8.ValidString(w) || strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("a word of it is longer than %d bytes or not printable", maxWord)
		}
	}
	return nil
}
