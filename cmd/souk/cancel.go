package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel a job; what was paid for can still be fetched",
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
			if j.Exit != nil {
				return a.say(fmt.Sprintf("job %s had ended already: %s, exit code %s", j.ID, stateText(j), exitText(j)), map[string]any{"event": "ended", "job": j.ID, "exit": *j.Exit})
			}
			if err := n.Cancel(ctx, j.ID); err != nil {
				return err
			}
			return a.say("cancelling job "+j.ID, map[string]any{"event": "cancelling", "job": j.ID})
		}),
	}
}
