package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"souk/internal/nearest"
	"souk/node/config"
	"souk/node/control"
	"souk/protocol/wire"
)

// Node is a running node, which package node makes.
type Node interface {
	control.Backend
	// Active is how many jobs and leases aren't closed.
	Active() int
	// Done is closed when somebody asked the node to shut down.
	Done() <-chan struct{}
	// Close ends the node and waits.
	Close() error
}

// opener starts a node on a config; provide says whether it makes offers.
type opener func(ctx context.Context, cfg config.Config, provide bool) (Node, error)

// app is what all commands share.
type app struct {
	open    opener
	held    func(dataDir string) (bool, error) // by a node of another process
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
	signals <-chan os.Signal

	dataDir string
	json    bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "souk",
		Short: "A peer-to-peer market for GPU time",
		Long: "souk leases computing time from strangers, pays as it runs, and keeps signed receipts.\n" +
			"Jobs are WASM modules, on CPUs alone, or container images, with GPUs where providers have them.",
		Example: "# a client runs a job on the cheapest provider that can\n" +
			"souk init\n" +
			"souk run job.yaml\n" +
			"# a provider leases out this machine\n" +
			"souk init\n" +
			"souk provide --price 0.40/h\n" +
			"# a whole market on this machine, to try it out\n" +
			"souk testnet up\n" +
			"souk testnet run job.yaml",
		Args: usageArgs(cobra.ArbitraryArgs),
		RunE: group,
	}
	root.PersistentFlags().StringVar(&a.dataDir, "data-dir", "", "the node's data directory (default: $SOUK_DATA_DIR, else souk in the XDG data directory)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, one object a line")
	root.SetFlagErrorFunc(flagError)
	grouped(root, "client", "for clients",
		a.offersCommand(), a.runCommand(), a.jobsCommand(), a.jobCommand(), a.logsCommand(), a.attachCommand(), a.cancelCommand(), a.outputsCommand())
	grouped(root, "provider", "for providers", a.provideCommand(), a.devicesCommand(), a.benchCommand())
	grouped(root, "testnet", "to try it out on this machine", a.testnetCommand())
	grouped(root, "node", "for every node", a.initCommand(), a.doctorCommand(), a.nodeCommand(), a.receiptsCommand(), a.configCommand(), a.versionCommand())
	root.SetHelpCommandGroupID("node")
	root.SetCompletionCommandGroupID("node")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.InitDefaultCompletionCmd() // which keeps where it writes to
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args, completion.RunE = usageArgs(cobra.ArbitraryArgs), group
	}
	return root
}

func grouped(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// meantFlag ends a sentence about flags: it asks whether another was meant than one that there isn't.
func meantFlag(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ";"
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	near := nearest.To(unknown.GetSpecifiedName(), names)
	if near == "" {
		return ";"
	}
	return ", did you mean --" + near + "?"
}

// group is what a command does that only has commands below it.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	sentence := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := nearest.To(args[0], names); near != "" {
		sentence += ", did you mean " + near + "?"
	}
	return usage("%s", sentence)
}

// action makes a RunE of f, whose ctx ends at the first Ctrl-C.
func (a *app) action(f func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := a.interruptible(cmd.Context())
		defer stop()
		if err := f(ctx, cmd, args); err != nil {
			if context.Cause(ctx) == errInterrupted { //nolint:errorlint // it is never wrapped there
				return errInterrupted
			}
			return err
		}
		return nil
	}
}

// interruptible ends ctx at the next signal. stop gives the signals back.
func (a *app) interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.signals:
			cancel(errInterrupted)
		case <-ended:
		}
	}()
	return ctx, func() {
		close(ended)
		<-done
		cancel(nil)
	}
}

// annotations of flags, by what they set.
const (
	configFlag = "souk-config" // a key of node/config
	jobFlag    = "souk-job"    // a field of a job file
)

func annotate(flags *pflag.FlagSet, name, kind, target string) {
	flags.Lookup(name).Annotations = map[string][]string{kind: {target}}
}

// given calls f for each flag of that kind that the user gave.
func given(cmd *cobra.Command, kind string, f func(name, target string, values []string)) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		target := flag.Annotations[kind]
		if len(target) == 0 {
			return
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		f("--"+flag.Name, target[0], values)
	})
}

// nodeFlags adds the flags of commands that may start a node.
func nodeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("network", "", "the market to trade in")
	f.StringArray("bootstrap", nil, "a node to join by: multiaddr with /p2p/PEER-ID, or /dnsaddr/NAME (repeatable)")
	f.StringArray("listen", nil, "multiaddr to listen on (repeatable)")
	f.Bool("mdns", true, "find peers on the local network")
	f.Bool("loopback", false, "never talk outside this machine")
	f.String("log-level", "", "how much the node logs: debug, info, warn or error")
	for name, key := range map[string]string{
		"network": "network", "bootstrap": "bootstrap", "listen": "listen", "mdns": "mdns", "loopback": "loopback", "log-level": "log_level",
	} {
		annotate(f, name, configFlag, key)
	}
}

// config is the configuration that holds for cmd.
func (a *app) config(cmd *cobra.Command) (*config.Loaded, error) {
	s := config.Sources{DataDir: a.dataDir, Environ: a.environ}
	given(cmd, configFlag, func(name, key string, values []string) {
		s.Flags = append(s.Flags, config.Flag{Name: name, Key: key, Values: values})
	})
	loaded, err := config.Load(s)
	if err != nil {
		return nil, fail("bad_config", err)
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintln(a.err, "warning:", w)
	}
	return loaded, nil
}

// node is the node of the data directory, started in the background if none
// runs; it then stays until its jobs are closed.
func (a *app) node(ctx context.Context, cmd *cobra.Command) (control.Backend, error) {
	n, _, err := a.ensure(ctx, cmd, "--until-idle", idleTime.String())
	return n, err
}

// nodeStaying is node, but one started here stays.
func (a *app) nodeStaying(ctx context.Context, cmd *cobra.Command) (control.Backend, error) {
	n, _, err := a.ensure(ctx, cmd)
	return n, err
}

// ensure gives the node of the data directory, and whether it was started here.
func (a *app) ensure(ctx context.Context, cmd *cobra.Command, args ...string) (control.Backend, bool, error) {
	cfg, err := a.config(cmd)
	if err != nil {
		return nil, false, err
	}
	if _, err := os.Stat(keyFile(cfg.DataDir)); os.IsNotExist(err) {
		return nil, false, wire.Refuse("no_key", "there is no key in %s yet", cfg.DataDir).Near("make one with `souk init`")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, false, err
	}
	command := append([]string{self, "node", "run", "--data-dir", cfg.DataDir}, args...)
	given(cmd, configFlag, func(name, _ string, values []string) {
		for _, v := range values {
			command = append(command, name+"="+v)
		}
	})
	c, started, err := control.Ensure(ctx, cfg.DataDir, command)
	if err != nil {
		return nil, false, err
	}
	if started {
		fmt.Fprintf(a.err, "started a background node on %s\n", cfg.DataDir)
		return c, true, nil
	}
	return c, false, sameSettings(ctx, c, cfg.Config, cmd)
}

func keyFile(dataDir string) string { return filepath.Join(dataDir, "key") }

// env is one variable of the environment.
func (a *app) env(name string) string {
	for _, entry := range a.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// line prints one JSON object.
func (a *app) line(v any) error { return json.NewEncoder(a.out).Encode(v) }

// list prints items: as JSON one a line, else by table.
func list[T any](a *app, items []T, table func()) error {
	if !a.json {
		table()
		return nil
	}
	for _, item := range items {
		if err := a.line(item); err != nil {
			return err
		}
	}
	return nil
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a file descriptor is small
}
