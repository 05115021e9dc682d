package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"souk/node/config"
	"souk/node/control"
	"souk/protocol/wire"
)

// idleTime is how long a background node that run started stays when nothing
// runs and nobody asks: longer than a person thinks about a plan.
const idleTime = time.Minute

// serve holds the data directory with a node until it is asked to end, ctx
// ends, or it was idle for a while (0: never). up is told when it answers.
func (a *app) serve(ctx context.Context, cfg *config.Config, provide bool, idle time.Duration, up func(context.Context, Node) error) (err error) {
	if control.NewClient(cfg.DataDir).Ping(ctx) == nil {
		return wire.Refuse("in_use", "another souk process holds %s", cfg.DataDir).
			Near("stop it with `souk node down`, or name another directory with --data-dir")
	}
	n, err := a.open(ctx, *cfg, provide)
	if err != nil {
		return fail("node_failed", err)
	}
	defer func() {
		if closed := n.Close(); err == nil {
			err = closed
		}
	}()
	s, err := control.Serve(cfg.DataDir, n, a.logger(*cfg))
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { ended <- up(ctx, n) })
	if idle > 0 {
		wg.Go(func() { ended <- s.WaitIdle(ctx, n.Active, idle) })
	}
	select {
	case <-n.Done():
	case <-ctx.Done():
		fmt.Fprintln(a.err, "ending; what runs is taken up by the next node on this directory")
	case err = <-ended:
	}
	return err
}
