package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"souk/internal/pattern"
	"souk/node/testnet"
)

func (a *app) testnetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "testnet",
		Short: "A whole market of real processes on this machine",
		Long: "Starts providers with simulated GPUs and clients as processes of their own, on loopback.\n" +
			"Nothing of a testnet talks outside this machine, and down leaves nothing of it behind.",
		Args: usageArgs(cobra.ArbitraryArgs),
		RunE: group,
	}
	var dir string
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "the testnet's folder (default: souk-testnet in the XDG state directory)")
	where := func() (string, error) {
		if dir == "" {
			dir = filepath.Join(xdg.StateHome, "souk-testnet")
		}
		return filepath.Abs(dir)
	}
	cmd.AddCommand(a.testnetUp(where), a.testnetStatus(where), a.testnetDown(where), a.testnetKill(where), a.testnetRestart(where), a.testnetRun(where), a.testnetMember())
	return cmd
}

// place gives a testnet's folder.
type place func() (string, error)

func (a *app) testnetUp(where place) *cobra.Command {
	var providers, clients int
	var inProcess, docker bool
	var hostile []string
	var tick time.Duration
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a testnet and wait until its nodes find each other",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			dir, err := where()
			if err != nil {
				return err
			}
			if inProcess && docker {
				return usage("--docker is for nodes in processes of their own; leave --in-process out")
			}
			if inProcess {
				return a.testnetLocal(ctx, testnet.LocalOptions{Dir: dir, Providers: providers, Clients: clients, Tick: tick})
			}
			o := testnet.Options{Dir: dir, Providers: providers, Clients: clients, Behave: hostile, Tick: tick, Docker: docker}
			if o.Souk, o.Hostile, err = programs(); err != nil {
				return err
			}
			if isTerminal(a.err) && !a.json {
				o.Progress = func(s string) { fmt.Fprintln(a.err, s) }
			}
			s, err := testnet.Up(ctx, o)
			if errors.Is(err, testnet.ErrOptions) {
				return &usageError{err}
			}
			if err != nil {
				return fail("testnet", err)
			}
			if err := a.showTestnet(s); err != nil || a.json {
				return err
			}
			fmt.Fprint(a.out, hints(cmd))
			return nil
		}),
	}
	f := cmd.Flags()
	f.IntVar(&providers, "providers", 3, "honest providers")
	f.IntVar(&clients, "clients", 1, "clients")
	f.StringArrayVar(&hostile, "hostile", nil, "one more provider that cheats: overcharge, withhold, equivocate, vanish, …, one for each lease, comma-separated (repeatable)")
	f.BoolVar(&inProcess, "in-process", false, "run all nodes in this process, in the foreground, until it is asked to end")
	f.BoolVar(&docker, "docker", false, "the honest providers run container images too, on raw runc where Docker has no runsc")
	f.DurationVar(&tick, "tick", time.Second, "the providers' tick")
	return cmd
}

// testnetLocal runs a testnet in this process until Ctrl-C or testnet down.
func (a *app) testnetLocal(ctx context.Context, o testnet.LocalOptions) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	l, err := testnet.NewLocal(ctx, o)
	if err != nil {
		return fail("testnet", err)
	}
	defer func() { err = errors.Join(err, l.Close(), l.Remove()) }()
	s, err := l.Serve(end, slog.New(slog.DiscardHandler))
	if err != nil {
		return fail("testnet", err)
	}
	if err := a.showTestnet(s); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// hints says what can be done with a testnet that is up, with --dir where it was given.
func hints(cmd *cobra.Command) string {
	at := ""
	if dir := cmd.Flag("dir"); dir.Changed {
		at = " --dir " + quoted(dir.Value.String())
	}
	return fmt.Sprintf("\nrun a job on it:  souk testnet run%s JOB.yaml\nend it:           souk testnet down%s\n", at, at)
}

var plainWord = pattern.Lazy(`^[A-Za-z0-9_./:+-]+$`)

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if plainWord().MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// programs are souk itself, and souk-hostile where it stands beside it.
func programs() (souk, hostile string, err error) {
	if souk, err = os.Executable(); err != nil {
		return "", "", err
	}
	hostile = filepath.Join(filepath.Dir(souk), "souk-hostile")
	if _, err := os.Stat(hostile); err != nil {
		hostile = ""
	}
	return souk, hostile, nil
}

func (a *app) showTestnet(s *testnet.State) error {
	return list(a, s.Nodes, func() {
		fmt.Fprintf(a.out, "testnet %s in %s\n", s.Network, s.Dir)
		var rows [][]string
		for _, n := range s.Nodes {
			process := fmt.Sprint(n.PID)
			if !n.Up {
				process = "gone"
			}
			rows = append(rows, []string{n.Name, orDash(n.GPU), orDash(n.Price), process, short(n.Peer), n.Dir})
		}
		writeTable(a.out, []string{"NAME", "GPU (SIMULATED)", "PRICE", "PROCESS", "PEER", "DATA DIRECTORY"}, rows)
	})
}

func (a *app) testnetStatus(where place) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Which processes of the testnet live",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(context.Context, *cobra.Command, []string) error {
			s, err := a.testnet(where)
			if err != nil {
				return err
			}
			return a.showTestnet(s)
		}),
	}
}

func (a *app) testnet(where place) (*testnet.State, error) {
	dir, err := where()
	if err != nil {
		return nil, err
	}
	s, err := testnet.Load(dir)
	if err != nil {
		return nil, fail("testnet", err)
	}
	return s, nil
}

func (a *app) testnetDown(where place) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the testnet and remove all of it",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			dir, err := where()
			if err != nil {
				return err
			}
			if err := testnet.Down(ctx, dir); err != nil {
				return fail("testnet", err)
			}
			sentence := "the testnet is gone"
			if _, err := os.Lstat(dir); err == nil {
				sentence += "; " + dir + " stays, for what else is in it"
			}
			return a.say(sentence, map[string]any{"event": "down"})
		}),
	}
}

func (a *app) testnetKill(where place) *cobra.Command {
	return &cobra.Command{
		Use:   "kill NAME|PEER",
		Short: "Kill one node of the testnet at once (kill -9)",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(_ context.Context, _ *cobra.Command, args []string) error {
			s, err := a.testnet(where)
			if err != nil {
				return err
			}
			n, err := s.Node(args[0])
			if err == nil {
				err = n.Kill()
			}
			if err != nil {
				return fail("testnet", err)
			}
			return a.say("killed "+n.Name, map[string]any{"event": "killed", "name": n.Name})
		}),
	}
}

func (a *app) testnetRestart(where place) *cobra.Command {
	return &cobra.Command{
		Use:   "restart NAME|PEER",
		Short: "Start a node that was killed again, on its old data directory",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: a.action(func(ctx context.Context, _ *cobra.Command, args []string) error {
			s, err := a.testnet(where)
			if err != nil {
				return err
			}
			souk, _, err := programs()
			if err != nil {
				return err
			}
			n, err := s.Node(args[0])
			if err == nil {
				err = s.Restart(ctx, souk, n)
			}
			if err != nil {
				return fail("testnet", err)
			}
			return a.say(n.Name+" is up again", map[string]any{"event": "up", "name": n.Name})
		}),
	}
}

// testnetRun is run, as the testnet's first client and with simulated GPUs allowed.
func (a *app) testnetRun(where place) *cobra.Command {
	run := a.runCommand()
	run.Short = "Run a job as the testnet's first client"
	run.Example = strings.ReplaceAll(run.Example, "souk run", "souk testnet run")
	inner := run.RunE
	run.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.testnet(where)
		if err != nil {
			return err
		}
		n, err := s.Node(string(testnet.Client) + "-1")
		if err != nil {
			return fail("testnet", err)
		}
		a.dataDir = n.Dir
		if err := cmd.Flags().Set("allow-simulated", "true"); err != nil {
			return err
		}
		return inner(cmd, args)
	}
	return run
}
