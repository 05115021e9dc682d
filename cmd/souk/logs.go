package main

import (
	"context"
	"fmt"

	pool "github.com/libp2p/go-buffer-pool"
	"github.com/spf13/cobra"

	"souk/node/client"
	"souk/node/control"
	"souk/protocol/wire"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print a job's log",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			j, err := n.Job(ctx, args[0])
			if err != nil {
				return err
			}
			return a.copyLog(ctx, n, j, follow)
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job is done; Ctrl-C only stops looking")
	return cmd
}

// logHead says on standard error whose log follows.
func (a *app) logHead(e client.Event) {
	if !a.json {
		fmt.Fprintln(a.err, leasedText(e))
	}
}

// copyLog prints what there is of a job's log, and with follow what comes.
func (a *app) copyLog(ctx context.Context, n control.Backend, j control.JobInfo, follow bool) error {
	left := int64(0)
	for _, x := range j.Executions {
		left += x.LogBytes
	}
	if left == 0 && !follow {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := n.Watch(ctx, j.ID, 0)
	if err != nil {
		return err
	}
	for e := range events {
		switch {
		case e.Kind == client.Finished:
			return nil
		case e.Kind == client.Leased && (e.Attempt > 1 || len(j.Executions) > 1):
			a.logHead(e)
			continue
		case e.Kind == client.Notice && e.Code == string(control.NodeStopped):
			return wire.Refuse(control.NodeStopped, "%s", e.Text)
		case e.Kind != client.LogData:
			continue
		}
		if a.json {
			err = a.line(e)
		} else {
			_, err = a.out.Write(e.Data)
			pool.Put(e.Data)
		}
		if left -= int64(len(e.Data)); err != nil || (left <= 0 && !follow) {
			return err
		}
	}
	return ctx.Err()
}
