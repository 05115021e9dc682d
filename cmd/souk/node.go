package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"souk/node/config"
	"souk/node/control"
	"souk/protocol/wire"
)

func (a *app) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "The background node", Args: usageArgs(cobra.ArbitraryArgs), RunE: group}
	cmd.AddCommand(a.nodeUp(), a.nodeStatus(), a.nodeDown(), a.nodeRun())
	return cmd
}

func (a *app) nodeUp() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a background node, which stays until it is stopped",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			n, err := a.nodeStaying(ctx, cmd)
			if err != nil {
				return err
			}
			return a.showStatus(ctx, n)
		}),
	}
	nodeFlags(cmd)
	return cmd
}

func (a *app) nodeStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "How the node stands",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			return a.showStatus(ctx, a.running())
		}),
	}
}

// running is the node of the data directory, which may not run.
func (a *app) running() *control.Client {
	dir, _ := config.Dir(a.dataDir, a.env)
	return control.NewClient(dir)
}

func (a *app) showStatus(ctx context.Context, n control.Backend) error {
	s, err := n.Status(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.line(s)
	}
	fmt.Fprintf(a.out, "process  %d since %s, souk %s\ndata     %s\n%speers    %d connected\njobs     %d open\nleases   %d live\n",
		s.PID, moment(s.Since), s.Version, s.DataDir, providerText(s), s.Peers, s.Jobs, s.Leases)
	return nil
}

const downLimit = 30 * time.Second // for a node to end; it leaves what runs to its successor

func (a *app) nodeDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the node; its jobs go on when one is up again",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			if err := a.shutdown(ctx); err != nil {
				return err
			}
			return a.say("the node has stopped", map[string]any{"event": "stopped"})
		}),
	}
}

// shutdown stops the node and waits until the data directory is free.
func (a *app) shutdown(ctx context.Context) error {
	dir, _ := config.Dir(a.dataDir, a.env)
	c := control.NewClient(dir)
	if err := c.Shutdown(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, downLimit, wire.Refuse("still_up", "the node did not end within %s", downLimit))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		held := !wire.IsCode(c.Ping(ctx), control.NotRunning)
		if !held { // it answers no more, but may still close its books
			var err error
			if held, err = a.held(dir); err != nil || !held {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (a *app) nodeRun() *cobra.Command {
	var idle time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a node in the foreground that makes no offers, such as one that others join by",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			err = a.serve(ctx, &cfg.Config, false, idle, func(ctx context.Context, _ Node) error {
				<-ctx.Done()
				return nil
			})
			if ctx.Err() != nil {
				return nil
			}
			return err
		}),
	}
	cmd.Flags().DurationVar(&idle, "until-idle", 0, "end after nothing ran and nobody asked for this long (0: never)")
	nodeFlags(cmd)
	return cmd
}

// say prints a sentence, or its JSON.
func (a *app) say(sentence string, v any) error {
	if a.json {
		return a.line(v)
	}
	_, err := fmt.Fprintln(a.out, strings.TrimSpace(sentence))
	return err
}
