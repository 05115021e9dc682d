package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"souk/node/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "The configuration", Args: usageArgs(cobra.ArbitraryArgs), RunE: group}
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every value and where it came from",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(_ context.Context, cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			return list(a, cfg.Values, func() {
				rows := make([][]string, 0, len(cfg.Values))
				for _, v := range cfg.Values {
					rows = append(rows, []string{v.Key, valueText(v), v.Origin})
				}
				writeTable(a.out, []string{"KEY", "VALUE", "FROM"}, rows)
			})
		}),
	}
	nodeFlags(show)
	cmd.AddCommand(show, a.limitsCommand())
	return cmd
}

// valueText is a value, or in brackets what one that is 0 or empty stands for.
func valueText(v config.Value) string {
	if v.Means != "" {
		return "(" + v.Means + ")"
	}
	return orDash(strings.Join(v.Values, ", "))
}
