package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"souk/node/control"
)

func (a *app) attachCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "attach ID",
		Short: "Pick up a job that was detached or left by a crash",
		Long:  "Shows the job as run does, fetches its outputs and ends with its exit code. Ctrl-C cancels the job; to look only, use `souk logs -f`.",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := freshDir(dir)
			if err != nil {
				return err
			}
			var n control.Backend
			var j control.JobInfo
			err = a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
				if n, err = a.node(ctx, cmd); err != nil {
					return err
				}
				j, err = n.Job(ctx, args[0])
				return err
			})(cmd, args)
			if err != nil {
				return err
			}
			if !a.json {
				fmt.Fprintf(a.err, "job %s (%s)\n", j.ID, j.Name)
			}
			return a.follow(n, j.ID, "", outputsTo{dir: dir, name: j.Name, wanted: true})
		},
	}
	cmd.Flags().StringVarP(&dir, "output-dir", "o", "", "folder to make for the outputs (default ./NAME-ID)")
	return cmd
}
