package main

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"souk/node/jobfile"
	"souk/protocol/wire"
)

// honest is what an honest client notices of hostile peers.
func honest() []figure {
	return []figure{
		{
			name:  "honest-p99",
			about: "quote and accept while another peer holds 1,000 slow streams half open, 99th percentile; against the same without it; ≤ 3",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return honestBeside(ctx, s, "honest-p99", 1, everyProtocol())
			},
		},
		{
			name:  "honest-p99-peers",
			about: "the same while 50 peers do so; ≤ 3",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return honestBeside(ctx, s, "honest-p99-peers", siegePeers, everyProtocol())
			},
		},
		{
			name:  "honest-p99-lease",
			about: "the same while 50 peers hold all of them on the protocol that the client needs; ≤ 3",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return honestBeside(ctx, s, "honest-p99-lease", siegePeers, []protocol.ID{wire.LeaseProtocol})
			},
		},
	}
}

const (
	siegeStreams = 1000
	siegePeers   = 50
	siegeEnd     = 30 * time.Second // the longest that a provider leaves half-open streams open
	siegeMemory  = 512 << 20        // bytes that it may take meanwhile
	// honestTimes is how often it is measured, alone and beside them: what is prepaid on
	// leases that stand still is under a client's cap for one provider.
	honestTimes = 400
	// honestPace is how often an honest client that trades here negotiates.
	honestPace = 50 * time.Millisecond
)

func everyProtocol() []protocol.ID {
	return []protocol.ID{
		wire.OfferProtocol, wire.LeaseProtocol, wire.RunProtocol, wire.BlobProtocol, wire.StatusProtocol, wire.ChallengeProtocol,
	}
}

// honestBeside measures negotiations alone, and then beside a siege of their provider.
func honestBeside(ctx context.Context, s *session, name string, peers int, ids []protocol.ID) (all []result, err error) {
	err = haggle(ctx, func(h *haggler, job jobfile.Spec) error {
		target, err := h.rig.providerInfo()
		if err != nil {
			return err
		}
		n := s.times(honestTimes)
		alone, err := h.inTurn(ctx, job, n, honestPace)
		if err != nil {
			return err
		}
		before, err := look(h.rig.provider.PID)
		if err != nil {
			return err
		}
		var beside []time.Duration
		orders := siege{Target: target, Peers: peers, Streams: siegeStreams, Protocols: ids}
		told, err := besiege(ctx, h.rig.dir, orders, func() (err error) {
			if beside, err = h.inTurn(ctx, job, n, honestPace); err != nil {
				return fmt.Errorf("beside the slow streams: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		after, err := look(h.rig.provider.PID)
		all = honestResults(name, alone, beside, told, before, after)
		return err
	})
	return all, err
}

func honestResults(name string, alone, beside []time.Duration, told siegeReport, before, after footprint) []result {
	const p99 = 0.99
	speed := against(name, millis(percentile(beside, p99)), "ms", millis(percentile(alone, p99)), "ms without them", goal{most: 3})
	speed.Note = fmt.Sprintf("of %d each; medians %.3g and %.3g ms, worst %.3g and %.3g; at most %d streams were held at once, of %d begun",
		len(beside), millis(median(beside)), millis(median(alone)), millis(percentile(beside, 1)), millis(percentile(alone, 1)), told.Most, told.Opened)
	ended := against(name+"-ended", told.Ended.Seconds(), "s until all of them were ended", siegeEnd.Seconds(), "s", goal{most: 1})
	if told.Left > 0 {
		ended.Met, ended.Note = false, fmt.Sprintf("%d were still open", told.Left)
	}
	memory := against(name+"-memory", after.peak, "MB resident at most", siegeMemory/1e6, "MB", goal{most: 1})
	memory.Note = fmt.Sprintf("of the provider's main process; before, %.4g MB at most", before.peak)
	return []result{speed, ended, memory}
}
