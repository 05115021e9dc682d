package client

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/device"
	"souk/protocol/market"
)

// Need is what providers are looked for.
type Need struct {
	Executor       string // market.KindWASM or KindDocker; empty: any will do
	CPU            int    // cores; 0 is 1
	Memory         int64  // bytes
	Disk           int64  // bytes
	GPU            *market.GPUNeed
	AllowSimulated bool
	Exclusive      bool           // no other lease on the GPUs meanwhile
	Region         string         // empty: any
	Time           time.Duration  // longest running time; 0 is a minute
	Price          *market.Amount // limit per hour; nil: none
	Total          *market.Amount // limit in all; nil: none
	InputBytes     int64
	Egress         []string // host:port that the job connects to
	Platform       string   // that an image is for; empty: not known
	All            bool     // look for everybody, as long as the time lasts, and not for the first few that answer
	Challenge      bool     // the devices, before a quote of them is asked for

	avoid map[peer.ID]bool // failed this job already
	again bool             // a search for this job found nobody who took it, or who did it well
}

const (
	defaultNeedTime = time.Minute
	mib             = 1 << 20
)

func (n Need) withDefaults() Need {
	if n.Region == "" {
		n.Region = anyRegion
	}
	if n.Time <= 0 {
		n.Time = defaultNeedTime
	}
	n.CPU = max(n.CPU, 1)
	if n.Memory <= 0 {
		n.Memory = mib
	}
	if n.Disk <= 0 {
		n.Disk = mib
	}
	return n
}

// devices is the need of GPUs as node/device matches it.
func (n Need) devices() (device.Need, error) {
	if n.GPU == nil {
		return device.Need{}, nil
	}
	d, err := device.ParseNeed(n.GPU.Name)
	if err != nil {
		return device.Need{}, err
	}
	d.Count, d.VRAM, d.AllowSimulated = max(n.GPU.Count, 1), n.GPU.VRAM, n.AllowSimulated
	return d, nil
}

// request is the document that a provider is asked with, for at most t of running.
func (n Need) request(network string, t time.Duration) market.Request {
	r := market.Request{
		Network: network, Executor: n.Executor, CPU: n.CPU, Memory: n.Memory, Disk: n.Disk, GPU: n.GPU,
		AllowSimulated: n.AllowSimulated, Exclusive: n.Exclusive, MaxMillis: uint64(t.Milliseconds()), //nolint:gosec // above 0
		InputBytes: n.InputBytes, PriceLimit: n.Price, Egress: n.Egress, Platform: n.Platform,
	}
	if n.Region != anyRegion {
		r.Region = n.Region
	}
	return r
}
