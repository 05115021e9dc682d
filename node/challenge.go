package node

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/capacity"
	"souk/node/control"
	"souk/node/device"
	"souk/node/device/cuda"
	"souk/node/device/kernel"
	"souk/node/device/opencl"
	"souk/node/prover"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// publicNetwork is the one on which a simulated device answers nothing.
const publicNetwork = "souk"

// prove makes the part that answers challenges. It is made before the
// provider, whose offer shows what it measures.
func (n *Node) prove(s *supply, free *capacity.Capacity, mode prover.Mode) (err error) {
	if mode == "" {
		mode = prover.Free
	}
	s.prover, err = prover.New(prover.Config{
		Network: n.cfg.Network, Key: n.cfg.Key, Mode: mode, Capacity: free, Simulate: n.cfg.Network != publicNetwork,
		Store: hintFile(n.path("measurements.json")),
		Open:  openKernel, Now: time.Now, Log: n.cfg.Log,
		Leased: func(c peer.ID, h market.Hash) ([]device.Device, <-chan struct{}, error) {
			return s.provider.LeasedDevices(c, h)
		},
		Changed: func() { s.provider.OfferChanged() },
	})
	return err
}

// openKernel prefers CUDA: it needs no compiler on the machine.
func openKernel(ctx context.Context, d device.Device) (kernel.Kernel, error) {
	return kernel.Open(ctx, d, cuda.Source{}, opencl.Source{})
}

// answerChallenges lets clients challenge this node, which begins by measuring itself.
func (s *supply) answerChallenges(n *Node) {
	challenge.Serve(n.dispatcher, n.cfg.Network, n.ID(), s.prover)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.prover.Measure(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Log.Warn("some devices stay as their drivers claim them", "err", err)
		}
	})
	n.onClose(func() error {
		cancel()
		wg.Wait()
		return nil
	})
}

// Challenge implements control.Backend.
func (b *backend) Challenge(ctx context.Context, of control.ChallengeOf) (challenge.Verdict, error) {
	if of.Job != "" {
		return b.n.client.ChallengeJob(ctx, of.Job)
	}
	id, err := peer.Decode(of.Peer)
	if err != nil {
		return challenge.Verdict{}, wire.Refuse(wire.BadRequest, "%.80q is no peer ID", of.Peer).Near("the ID that `souk offers --json` shows")
	}
	return b.n.client.Challenge(ctx, id, of.Slug, of.Count)
}
