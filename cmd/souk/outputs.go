package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"souk/node/control"
)

func (a *app) outputsCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "outputs ID -o DIR",
		Short: "Write a job's outputs into a new folder",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			dir, err := freshDir(dir)
			if err != nil {
				return err
			}
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			j, err := n.Job(ctx, args[0])
			if err != nil {
				return err
			}
			return a.writeOutputs(ctx, n, j, dir)
		}),
	}
	cmd.Flags().StringVarP(&dir, "output-dir", "o", "", "folder to make (default ./NAME-ID)")
	return cmd
}

func (a *app) writeOutputs(ctx context.Context, n control.Backend, j control.JobInfo, dir string) (err error) {
	if dir == "" {
		if dir, err = freshDir(filepath.Base(j.Name + "-" + j.ID)); err != nil {
			return err
		}
	}
	if err := n.Outputs(ctx, j.ID, dir); err != nil {
		return err
	}
	return a.say("outputs are in "+dir, map[string]any{"event": "outputs", "job": j.ID, "dir": dir})
}
