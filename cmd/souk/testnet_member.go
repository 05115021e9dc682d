package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"souk/node/config"
	"souk/node/testnet"
)

// testnetMember is one node of a testnet of containers.
func (a *app) testnetMember() *cobra.Command {
	m := &testnet.Member{}
	cmd := &cobra.Command{
		Use:   "member bootstrap|provider|client",
		Short: "Be one node of a testnet of containers, in the foreground",
		Long: "Makes a key and a config file in the data directory and runs a node on it. The nodes meet by a folder that\n" +
			"they share, where the bootstrap leaves its address. docker-compose.yml uses it.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			switch m.Role = testnet.Role(args[0]); m.Role {
			case testnet.Bootstrap, testnet.Provider, testnet.Client:
			default:
				return usage("%q is no part of a testnet; use bootstrap, provider or client", args[0])
			}
			m.Dir, _ = config.Dir(a.dataDir, a.env)
			if err := m.Prepare(ctx); err != nil {
				return fail("testnet", err)
			}
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			show := func(ctx context.Context, _ Node) error { <-ctx.Done(); return nil }
			if m.Role == testnet.Provider {
				show = a.showProvider
			}
			err = a.serve(ctx, &cfg.Config, m.Role == testnet.Provider, 0, show)
			if ctx.Err() != nil {
				return nil
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&m.Meeting, "meeting", "/meeting", "the folder that the members share")
	f.StringVar(&m.Network, "network", "testnet-compose", "the market to trade in")
	f.StringVar(&m.Announce, "announce", "/dns4/bootstrap/tcp/4001", "how the others reach the bootstrap")
	f.DurationVar(&m.Tick, "tick", time.Second, "a provider's tick")
	f.DurationVar(&m.LostAfter, "lost-after", 0, "how long a silent provider keeps a client waiting (default 15s)")
	return cmd
}
