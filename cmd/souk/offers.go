package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"souk/node/client"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/protocol/market"
)

// manyOffers may be cut short: so many answers end a search.
const manyOffers = 8

func (a *app) offersCommand() *cobra.Command {
	var executor string
	var measured, all bool
	cmd := &cobra.Command{
		Use:   "offers",
		Short: "Find providers and show what they offer",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			spec, err := jobfile.Partial(jobSettings(cmd))
			if err != nil {
				return err
			}
			if !slices.Contains([]string{"", market.KindWASM, market.KindDocker}, executor) {
				return usage("--executor: %.32q is none; use wasm or docker", executor)
			}
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			offers, err := n.Offers(ctx, control.Need{
				Executor: executor, CPU: spec.CPU, Memory: spec.Memory, Disk: spec.Disk, GPU: spec.GPU,
				AllowSimulated: spec.AllowSimulated, Region: spec.Region, Time: spec.Time, Price: spec.Price, All: all,
			})
			if err != nil {
				return err
			}
			if measured {
				return a.showMeasured(offers)
			}
			return list(a, offers, func() {
				rows := make([][]string, 0, len(offers))
				for _, c := range offers {
					rows = append(rows, offerRow(c))
				}
				writeTable(a.out, offerHead(), rows)
				a.hintAtOffers(ctx, n, len(offers), all)
			})
		}),
	}
	nodeFlags(cmd)
	needFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "look for everybody, and not just for the first few that answer")
	cmd.Flags().BoolVar(&measured, "measured", false, "only devices that were measured: their figures, when and by whom")
	cmd.Flags().StringVar(&executor, "executor", "", "what runs the job: wasm or docker; left out, any will do")
	return cmd
}

// hintAtOffers says why nobody answered, or that there may be more.
func (a *app) hintAtOffers(ctx context.Context, n control.Backend, found int, all bool) {
	switch {
	case found >= manyOffers && !all:
		fmt.Fprintln(a.err, "a search ends with the first eight that answer; --all looks for everybody")
	case found == 0:
		fmt.Fprintln(a.err, "nobody answered")
		if st, err := n.Status(ctx); err == nil {
			fmt.Fprintln(a.err, "reach: "+st.Reach)
			for _, b := range st.Bootstrap {
				fmt.Fprintln(a.err, b)
			}
		}
	}
}

// The columns of a plan that only a job's quote fills.
const costsFrom, costsTo = 6, 8

// offerHead names, in place of what only a plan knows, what a provider grants.
func offerHead() []string {
	return slices.Replace(candidateHead(), costsFrom, costsTo, "EGRESS", "CHALLENGES")
}

func offerRow(c client.Candidate) []string {
	egress := "no"
	if c.Egress {
		egress = "yes"
	}
	return slices.Replace(candidateRow(c), costsFrom, costsTo, egress, orDash(c.Challenge))
}

// needFlags adds the flags that say what a job needs of a provider.
func needFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("gpu", "", "a GPU such as RTX4090:2, A100-80GB or any; left out, none is needed")
	f.String("vram", "", "memory of each GPU, such as 24GiB")
	f.String("max-price", "", "the most per hour, such as 0.50/h")
	f.String("region", "", "where the provider is: eu, na, ap, sa, me, af or any")
	f.String("cpu", "", "cores (default 1)")
	f.String("memory", "", "memory, such as 256MiB (the default)")
	f.String("disk", "", "disk, such as 256MiB (the default)")
	f.String("time", "", "the longest running time, such as 10m (the default)")
	f.Bool("allow-simulated", false, "also take GPUs that are only pretended")
	for name, field := range map[string]string{
		"gpu": "needs.gpu", "vram": "needs.vram", "max-price": "limits.price", "region": "region", "cpu": "needs.cpu",
		"memory": "needs.memory", "disk": "needs.disk", "time": "limits.time", "allow-simulated": "needs.allowSimulated",
	} {
		annotate(f, name, jobFlag, field)
	}
}

// jobSettings are the job's fields that flags set.
func jobSettings(cmd *cobra.Command) []jobfile.Setting {
	var out []jobfile.Setting
	given(cmd, jobFlag, func(name, field string, values []string) {
		for _, v := range values {
			out = append(out, jobfile.Setting{Flag: name, Field: field, Text: v})
		}
	})
	return out
}
