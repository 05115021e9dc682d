package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"souk/node/client"
	"souk/node/control"
	"souk/protocol/market"
)

func (a *app) jobsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "jobs",
		Short: "List this node's jobs",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			jobs, err := n.Jobs(ctx)
			if err != nil {
				return err
			}
			return list(a, jobs, func() {
				rows := make([][]string, 0, len(jobs))
				for _, j := range jobs {
					rows = append(rows, []string{
						j.ID, j.Name, stateText(j), moment(j.Created), strconv.Itoa(len(j.Executions)), usd(j.Spent), usd(j.Total), exitText(j),
					})
				}
				writeTable(a.out, []string{"ID", "NAME", "STATE", "SUBMITTED", "EXECUTIONS", "SPENT", "LIMIT", "EXIT"}, rows)
			})
		}),
	}
}

// stateText is a job's state, or that it was cancelled.
func stateText(j control.JobInfo) string {
	if j.Source == client.SourceSouk && j.Code == string(client.Cancelled) {
		return j.Code
	}
	return j.State
}

// exitText is a job's exit code and, where souk failed, souk's code.
func exitText(j control.JobInfo) string {
	if j.Exit == nil {
		return "–"
	}
	text := strconv.Itoa(*j.Exit)
	if j.Code != "" && j.Code != stateText(j) {
		text += " " + j.Code
	}
	return text
}

func (a *app) jobCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "job ID",
		Short: "Show one job and its executions",
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
			if a.json {
				return a.line(j)
			}
			_, err = fmt.Fprint(a.out, jobText(j))
			if len(j.Executions) > 0 && err == nil {
				writeTable(a.out, []string{"EXECUTION", "PROVIDER", "LEASE", "STATE", "OUTCOME", "PRICE", "RAN", "COST", "AT MOST", "WHY"}, executionRows(j))
			}
			return err
		}),
	}
}

func jobText(j control.JobInfo) string {
	var b strings.Builder
	fmt.Fprintf(&b, "job       %s\nname      %s\nstate     %s\nsubmitted %s\nended     %s\nspent     %s of %s USD\nexit      %s\n",
		j.ID, j.Name, stateText(j), moment(j.Created), moment(j.Ended), usd(j.Spent), usd(j.Total), exitText(j))
	if j.Image != "" {
		fmt.Fprintf(&b, "image     %s\n", j.Image)
	}
	if j.Text != "" {
		fmt.Fprintf(&b, "why       %s\n", j.Text)
	}
	if j.Outputs != "" {
		fmt.Fprintf(&b, "outputs   %s\n", j.Outputs)
	}
	return b.String()
}

func executionRows(j control.JobInfo) [][]string {
	rows := make([][]string, 0, len(j.Executions))
	for _, x := range j.Executions {
		cost := x.Countersigned
		if x.State == string(market.Closed) {
			cost = x.Vouchered // what its provider could keep is spent
		}
		rows = append(rows, []string{
			strconv.Itoa(x.Attempt), short(x.Peer), short(x.Lease), x.State, orDash(x.Outcome), perHour(x.PricePerHour),
			ran(x.Units), usd(cost), usd(x.Vouchered), orDash(x.Text),
		})
	}
	return rows
}
