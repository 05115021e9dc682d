package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"souk/internal/money"
	"souk/protocol/market"
)

func (a *app) receiptsDisputed() *cobra.Command {
	return &cobra.Command{
		Use:   "disputed",
		Short: "List what providers demand and this node hasn't countersigned",
		Long: "What a lease cost that was lost with the connection is paid by itself as far as vouchers cover it. The rest is yours to decide: " +
			"as long as it is neither paid nor left, REFUSES says whether its provider gives no further lease.",
		Args: usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			disputes, err := n.Disputes(ctx)
			if err != nil {
				return err
			}
			return list(a, disputes, func() {
				rows := make([][]string, 0, len(disputes))
				for _, d := range disputes {
					rows = append(rows, []string{
						short(d.Lease), short(d.Peer), orDash(short(d.Job)), moment(d.At), usd(d.Owed), strconv.FormatBool(d.Obstacle), strconv.FormatBool(d.Left), orDash(d.Why),
					})
				}
				writeTable(a.out, []string{"LEASE", "PEER", "JOB", "AT", "OWED", "REFUSES", "LEFT", "WHY"}, rows)
			})
		}),
	}
}

func (a *app) receiptsPay() *cobra.Command {
	return &cobra.Command{
		Use:   "pay LEASE AMOUNT",
		Short: "Countersign what a provider demands for a lease, if it is no more than AMOUNT",
		Long:  "It takes effect once the provider has it, so the provider must be there. AMOUNT is what `souk receipts disputed` shows as OWED, in USD.",
		Args:  usageArgs(cobra.ExactArgs(2)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			most, err := money.Parse(args[1])
			if err != nil {
				return &usageError{err}
			}
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			if err := n.PayDisputed(ctx, args[0], market.NewAmount(most)); err != nil {
				return err
			}
			return a.say("paid: the provider has the countersignature for lease "+args[0], map[string]any{"event": "paid", "lease": args[0]})
		}),
	}
}

func (a *app) receiptsLeave() *cobra.Command {
	return &cobra.Command{
		Use:   "leave LEASE",
		Short: "Leave unpaid what a provider demands for a lease; other providers are taken without asking",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			if err := n.LeaveDisputed(ctx, args[0]); err != nil {
				return err
			}
			return a.say("left unpaid; `souk receipts pay` can pay it later", map[string]any{"event": "left", "lease": args[0]})
		}),
	}
}
