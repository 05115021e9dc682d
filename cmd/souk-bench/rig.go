package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/control"
	"souk/node/jobfile"
	"souk/node/testnet"
	"souk/protocol/market"
)

// rig is a market of real processes: a bootstrap, one provider, and a client.
type rig struct {
	dir      string // for what isn't the testnet's
	souk     string
	market   *testnet.State
	provider testnet.Node
	client   testnet.Node
}

// rigMemory is the memory that each provider of a testnet leases out.
const rigMemory = 2 << 30

// rigPrice has a job of a few milliseconds cost something: who never paid stays
// a stranger. rigTick keeps what is paid ahead for many leases under a client's cap.
const (
	rigPrice = "4/h"
	rigTick  = 5 * time.Second
)

// newRig starts the processes and waits until they find each other.
func newRig(ctx context.Context, slots int) (r *rig, err error) {
	r = &rig{}
	if r.souk, err = beside("souk"); err != nil {
		return nil, err
	}
	var remove func() error
	if r.dir, remove, err = scratch(); err != nil {
		return nil, err
	}
	r.market, err = testnet.Up(ctx, testnet.Options{
		Dir: scratchTestnet(r.dir), Souk: r.souk, Providers: 1, Clients: 1, Slots: slots, Tick: rigTick, Price: rigPrice,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a testnet: %w", err), remove())
	}
	for _, n := range r.market.Nodes {
		switch n.Role {
		case testnet.Provider:
			r.provider = n
		case testnet.Client:
			r.client = n
		}
	}
	return r, nil
}

// close ends the processes, also after ctx has ended.
func (r *rig) close(ctx context.Context) error {
	return errors.Join(testnet.Down(context.WithoutCancel(ctx), r.market.Dir), os.RemoveAll(r.dir))
}

// bootstrap is the address to join the testnet by.
func (r *rig) bootstrap() string { return r.market.Nodes[0].Addr }

// providerInfo is where the provider is.
func (r *rig) providerInfo() (peer.AddrInfo, error) {
	a, err := ma.NewMultiaddr(r.provider.Addr)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	return *info, nil
}

func (r *rig) control() *control.Client { return control.NewClient(r.client.Dir) }

// specFor is a job that runs a module without inputs and outputs. slots of them
// have room in what a provider of a testnet leases out.
func specFor(module string, slots int) jobfile.Spec {
	each := int64(rigMemory / max(slots, 8))
	return jobfile.Spec{
		Name: strings.TrimSuffix(filepath.Base(module), ".wasm"), WASM: module, CPU: 1, Memory: min(each, 64<<20), Disk: min(each, 64<<20),
		Time: time.Minute, Total: market.NewAmount(100_000_000), Region: jobfile.DefaultRegion,
	}
}
