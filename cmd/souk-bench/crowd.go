package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/node"
	"souk/node/client"
	"souk/node/identity"
)

// bareRun is what a wazero process of cmd/souk-bench/wazero says that it took.
type bareRun struct{ Compiled, Ran time.Duration }

// runBare runs a module in a process with wazero and nothing else, without limits.
func runBare(ctx context.Context, dir string, module []byte, args ...string) (r bareRun, err error) {
	path, err := writeModule(dir, "bare", module)
	if err != nil {
		return r, err
	}
	return runBareFile(ctx, path, args...)
}

func runBareFile(ctx context.Context, path string, args ...string) (r bareRun, err error) {
	program, err := beside("souk-bench-wazero")
	if err != nil {
		return r, err
	}
	out, err := exec.CommandContext(ctx, program, append([]string{path}, args...)...).Output() //nolint:gosec // scripts/bench built it
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// childrenPerSecond is how many wazero processes run a module that does nothing.
func childrenPerSecond(ctx context.Context, s *session) (float64, error) {
	return once(s, "children", func() (rate float64, err error) {
		dir, remove, err := scratch()
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, remove()) }()
		path, err := writeModule(dir, "noop", trivialModule())
		if err != nil {
			return 0, err
		}
		rate, err = perSecond(ctx, s.times(1000), inFlight, most/2, func(ctx context.Context) error {
			_, err := runBareFile(ctx, path)
			return err
		})
		fmt.Fprintf(s, "  wazero processes: %.0f/s with %d at once\n", rate, inFlight)
		return rate, err
	})
}

// crowd is clients in this process, each a node of its own with its own key and books.
type crowd []*node.Node

func newCrowd(ctx context.Context, r *rig, n int) (c crowd, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	for i := range n {
		dir := filepath.Join(r.dir, fmt.Sprintf("crowd-%d", i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return c, err
		}
		key, err := identity.Create(filepath.Join(dir, identity.FileName), "")
		if err != nil {
			return c, err
		}
		n, err := node.New(ctx, node.Config{
			Dir: dir, Key: key, Network: r.market.Network, Version: "bench", Loopback: true, Listen: []string{onTCP}, Bootstrap: []string{r.bootstrap()},
		})
		if err != nil {
			return c, err
		}
		c = append(c, n)
	}
	return c, c.await(ctx)
}

// await waits until each of them finds a provider.
func (c crowd) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var all errgroup.Group
	for _, n := range c {
		all.Go(func() error {
			for {
				offers, err := n.Client().Offers(ctx, client.Need{AllowSimulated: true})
				if err == nil && len(offers) > 0 {
					return nil
				}
				if ctx.Err() != nil {
					return errors.Join(errors.New("a client finds no provider"), err)
				}
			}
		})
	}
	return all.Wait()
}

func (c crowd) close() error {
	var errs []error
	for _, n := range c {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// work has every client run a job after the other until n are done, or for the
// longest that this may take, and counts.
func (c crowd) work(ctx context.Context, n int, module string, longest time.Duration) tally {
	limited, cancel := context.WithTimeout(ctx, longest+most)
	defer cancel()
	outcomes, idle := make(chan error, len(c)), make(chan *node.Node, len(c))
	for _, n := range c {
		idle <- n
	}
	return tally{longest: longest}.of(ctx, n, outcomes, func() error {
		client := <-idle
		go func() { // ends with limited
			_, err := runJob(limited, client.Backend(func() {}), specFor(module, inFlight))
			idle <- client
			outcomes <- err
		}()
		return nil
	})
}

// clientCrowd is a rig with a crowd whose connections are warm: each has run a job.
func clientCrowd(ctx context.Context, do func(r *rig, c crowd, module string) error) (err error) {
	r, err := newRig(ctx, inFlight)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	module, err := writeModule(r.dir, "noop", trivialModule())
	if err != nil {
		return err
	}
	c, err := newCrowd(ctx, r, inFlight)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if warm := c.work(ctx, len(c), module, most); warm.bad > 0 {
		return fmt.Errorf("the first jobs: %s", warm)
	}
	return do(r, c, module)
}

func jobsOfClients(ctx context.Context, s *session) ([]result, error) {
	limit, err := childrenPerSecond(ctx, s)
	if err != nil {
		return nil, err
	}
	var count tally
	err = clientCrowd(ctx, func(_ *rig, c crowd, module string) error {
		count = c.work(ctx, s.times(1000), module, most)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	r := against("jobs-clients", count.perSecond(), "/s", limit, "/s wazero processes", goal{least: 0.8})
	r.Note = count.String() + "; the clients share a process, the provider is another"
	return []result{r}, nil
}
