package node

import (
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"souk/node/client"
	"souk/node/prover"
	"souk/node/provider"
	"souk/protocol/market"
)

// Config says what a node is. Dir, Key, Network and Version are required.
type Config struct {
	Dir     string // the data directory; this process holds it from New to Close
	Key     crypto.PrivKey
	Network string
	Version string

	Listen         []string // multiaddrs; empty: any free port
	Bootstrap      []string // multiaddrs with /p2p/ID, or /dnsaddr/NAME
	Loopback       bool     // a testnet: nothing leaves this machine
	LocalDiscovery bool     // mDNS
	AdvertiseEvery time.Duration
	Region         string // eu, na, ap, sa, me, af; empty says none

	Client  client.Times
	Caps    client.Caps
	Provide *Provide // nil: this node makes no offers

	Metrics string // TCP address to serve Prometheus' metrics at; empty: they aren't
	Log     *slog.Logger
}

// Provide says what a node leases out, and for how much. Zero figures of the
// machine stand for what it has.
type Provide struct {
	Price       market.Amount // per hour
	Tick        time.Duration
	MaxTime     time.Duration // longest running time of a lease
	CPU         int
	Memory      int64
	Disk        int64
	Slots       int // executions at one time
	SimulateGPU []string
	Devices     Devices
	Prepay      uint32 // ticks
	Caps        provider.Caps
	Spares      int      // sandboxes started ahead of need
	SandboxPath string   // empty: beside this program, else in $PATH
	Executors   []string // kinds of job, or AutoExecutors; empty: that
	Docker      Docker
	Challenge   prover.Mode // whose challenges are answered; empty: anybody's
}

// auto tells whether Docker is only for where it works.
func (p *Provide) auto() bool {
	return len(p.Executors) == 0 || slices.Contains(p.Executors, AutoExecutors)
}

// Defaults of what a provider leases out.
const (
	DefaultTick    = time.Minute
	DefaultMaxTime = 24 * time.Hour
	DefaultSpares  = 2
)

func (p *Provide) setDefaults() {
	if p.Tick == 0 {
		p.Tick = DefaultTick
	}
	if p.MaxTime == 0 {
		p.MaxTime = DefaultMaxTime
	}
	if p.Spares == 0 {
		p.Spares = DefaultSpares
	}
}
