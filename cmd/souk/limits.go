package main

import (
	"context"

	"github.com/spf13/cobra"

	"souk/internal/limit"
	"souk/node"
)

func (a *app) limitsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Print what bounds a peer, a job and a file, and what happens beyond it",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(_ context.Context, cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			limits := node.Limits(cfg.Config)
			return list(a, limits, func() { writeTable(a.out, []string{"LIMIT", "MOST", "WHERE", "KEY", "BEYOND IT"}, limitRows(limits)) })
		}),
	}
	nodeFlags(cmd)
	return cmd
}

func limitRows(limits []limit.Limit) [][]string {
	rows := make([][]string, 0, len(limits))
	for _, l := range limits {
		rows = append(rows, []string{l.Name, l.Text(), l.Where, orDash(l.Key), l.Beyond})
	}
	return rows
}
