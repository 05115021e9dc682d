package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"souk/internal/quantity"
	"souk/node/config"
	"souk/node/control"
)

func (a *app) provideCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "provide",
		Short: "Run a provider in the foreground",
		Long:  "Leases out this machine. Prints its addresses, what it offers, whether it can be reached, and each lease as it comes.",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			if cfg.Provider.Price == nil {
				return usage("a provider needs a price per hour: --price 0.40/h, or provider.price in %s", config.File(cfg.DataDir))
			}
			err = a.serve(ctx, &cfg.Config, true, 0, a.showProvider)
			if ctx.Err() != nil {
				return nil // Ctrl-C is how a provider is ended
			}
			return err
		}),
	}
	nodeFlags(cmd)
	f := cmd.Flags()
	f.String("price", "", "asked per hour, such as 0.40/h")
	f.String("tick", "", "how often is paid, from 1s to 1h")
	f.Int("cpu", 0, "cores to lease out (0: all)")
	f.String("memory", "", "memory to lease out, such as 8GiB")
	f.String("disk", "", "disk to lease out")
	f.Int("slots", 0, "executions at one time (0: four per core)")
	f.StringArray("simulate-gpu", nil, "a GPU to pretend to have, such as \"RTX 4090:2\" (repeatable)")
	f.String("region", "", "where this machine is: eu, na, ap, sa, me, af or any")
	f.String("max-time", "", "the longest running time of a lease")
	for name, key := range map[string]string{
		"price": "provider.price", "tick": "provider.tick", "cpu": "provider.cpu", "memory": "provider.memory", "disk": "provider.disk",
		"slots": "provider.slots", "simulate-gpu": "provider.simulate_gpu", "region": "region", "max-time": "provider.max_time",
	} {
		annotate(f, name, configFlag, key)
	}
	return cmd
}

// showProvider prints what the provider is, then what happens to it.
func (a *app) showProvider(ctx context.Context, n Node) error {
	events, err := n.LeaseEvents(ctx)
	if err != nil {
		return err
	}
	status, err := n.Status(ctx)
	if err != nil {
		return err
	}
	if a.json {
		if err := a.line(status); err != nil {
			return err
		}
	} else {
		fmt.Fprint(a.out, providerText(status))
	}
	for e := range events {
		if a.json {
			err = a.line(e)
		} else {
			_, err = fmt.Fprintln(a.out, leaseText(e))
		}
		if err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func providerText(s control.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "peer ID  %s\naddress  %s\nnetwork  %s\n", s.Peer, s.Address, s.Network)
	for _, addr := range s.Addrs {
		fmt.Fprintf(&b, "listens  %s/p2p/%s\n", strings.TrimSuffix(addr, "/p2p/"+s.Peer), s.Peer)
	}
	fmt.Fprintf(&b, "reach    %s\n", s.Reach)
	for _, trouble := range s.Bootstrap {
		fmt.Fprintf(&b, "trouble  %s\n", trouble)
	}
	if o := s.Providing; o != nil {
		fmt.Fprintf(&b, "offers   %s, %d CPU, %s memory, %s disk, %s, tick %s\n", o.Devices, o.CPU,
			quantity.Human(o.Memory), quantity.Human(o.Disk), strings.Join(o.Executors, " "), o.Tick)
		for _, why := range o.Lacking {
			fmt.Fprintf(&b, "lacks    %s\n", why)
		}
		fmt.Fprintf(&b, "asks     %s\n", asksText(*o))
	}
	return b.String()
}

// asksText is the price, and how it came to be more than the one that was set.
func asksText(o control.Supply) string {
	text := perHour(o.PricePerHour)
	if o.Asked.Less(o.PricePerHour) {
		text += fmt.Sprintf(" (%s rounded up to whole millionths of a USD a tick)", perHour(o.Asked))
	}
	return text
}

func leaseText(e control.LeaseEvent) string {
	parts := []string{e.At.Local().Format("15:04:05"), fmt.Sprintf("%-8s", e.Kind)}
	if e.Lease != "" {
		parts = append(parts, "lease "+short(e.Lease))
	}
	if e.Peer != "" {
		parts = append(parts, "client "+short(e.Peer))
	}
	if e.Outcome != "" {
		parts = append(parts, e.Outcome)
	}
	if e.Charged != nil {
		parts = append(parts, "charged "+usd(*e.Charged))
	}
	if e.Text != "" {
		parts = append(parts, e.Text)
	}
	return strings.Join(parts, "  ")
}
