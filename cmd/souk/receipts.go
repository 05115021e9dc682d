package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"souk/internal/quantity"
	"souk/node/control"
	"souk/protocol/market"
)

func (a *app) receiptsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "receipts", Short: "What was used and is owed, signed", Args: usageArgs(cobra.ArbitraryArgs), RunE: group,
	}
	cmd.AddCommand(a.receiptsList(), a.receiptsShow(), a.receiptsVerify(), a.receiptsExport(), a.receiptsDisputed(), a.receiptsPay(), a.receiptsLeave())
	return cmd
}

func (a *app) receiptsList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the newest receipt of every lease",
		Long:  "AT MOST is what the provider can keep of what was vouchered. A lease without a receipt, which may still have been paid ahead, has SEQ 0.",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			receipts, err := n.Receipts(ctx)
			if err != nil {
				return err
			}
			return list(a, receipts, func() {
				rows := make([][]string, 0, len(receipts))
				for _, r := range receipts {
					rows = append(rows, []string{
						short(r.Lease), r.Role, short(r.Peer), orDash(short(r.Job)), moment(r.At), strconv.FormatUint(uint64(r.Seq), 10),
						ran(r.Units), usd(r.Charged), usd(r.Countersigned), vouchered(r), orDash(r.Outcome),
					})
				}
				writeTable(a.out, []string{"LEASE", "ROLE", "PEER", "JOB", "AT", "SEQ", "RAN", "CHARGED", "COUNTERSIGNED", "AT MOST", "OUTCOME"}, rows)
			})
		}),
	}
}

// vouchered is what the provider of a lease can keep at most; only its client knows.
func vouchered(r control.ReceiptInfo) string {
	if r.Role != "client" {
		return "–"
	}
	return usd(r.Vouchered)
}

func (a *app) receiptsShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show every receipt of a lease",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			bundle, err := n.Bundle(ctx, args[0])
			if err != nil {
				return err
			}
			receipts, err := readReceipts(bundle)
			if err != nil {
				return err
			}
			return list(a, receipts, func() {
				rows := make([][]string, 0, len(receipts))
				for _, r := range receipts {
					rows = append(rows, []string{
						strconv.FormatUint(uint64(r.Seq), 10), ran(r.Units), usd(r.Charged), r.Outcome, strconv.FormatBool(r.Countersigned), orDash(usesText(r.Devices)), r.CID,
					})
				}
				writeTable(a.out, []string{"SEQ", "RAN", "CHARGED", "OUTCOME", "COUNTERSIGNED", "DEVICES", "CID"}, rows)
			})
		}),
	}
}

// shownReceipt is one receipt as it is shown.
type shownReceipt struct {
	Lease         market.Hash   `json:"lease"`
	Seq           uint32        `json:"seq"`
	Units         uint64        `json:"units"`
	Charged       market.Amount `json:"charged"`
	Outcome       string        `json:"outcome"`
	Countersigned bool          `json:"countersigned"`
	CID           string        `json:"cid"`

	Devices []market.DeviceUse `json:"devices,omitempty"` // when the receipt was made
}

// usesText is how devices were used, for people.
func usesText(uses []market.DeviceUse) string {
	words := make([]string, 0, len(uses))
	for _, u := range uses {
		words = append(words, fmt.Sprintf("%s %d %% %s %d °C %d W", u.Model, u.Utilisation, quantity.Human(u.Memory), u.Celsius, u.Watts))
	}
	return strings.Join(words, ", ")
}

func readReceipts(b market.Bundle) ([]shownReceipt, error) {
	out := make([]shownReceipt, 0, len(b.Receipts))
	for _, signed := range b.Receipts {
		r, err := market.DecodeReceipt(signed.Block)
		if err != nil {
			return nil, fail("bad_document", err)
		}
		var body market.Body
		if len(signed.Body) > 0 {
			if body, err = market.DecodeBody(signed.Body); err != nil {
				return nil, fail("bad_document", err)
			}
		}
		out = append(out, shownReceipt{
			Devices: body.Devices,
			Lease:   r.Lease, Seq: r.Seq, Units: r.Units, Charged: r.Charged, Outcome: r.Outcome.String(),
			Countersigned: !signed.Client.IsZero(), CID: r.Hash().CID().String(),
		})
	}
	return out, nil
}
