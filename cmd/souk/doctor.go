package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"souk/node"
	"souk/node/config"
	"souk/node/control"
	"souk/node/identity"
	"souk/protocol/wire"
)

func (a *app) doctorCommand() *cobra.Command {
	var noStart bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with this machine, key, network, clock and executors, and what to do",
		Long: "Looks at what can be seen without a node, then asks the node, which it starts for that if none runs. Where no provider runs, it also says\n" +
			"what `souk provide` would offer, and what is in the way. Ends with 1 if something is wrong.\n" +
			"With --no-start, a node that doesn't run is wrong: for a health check beside a node that is meant to run.",
		Args: usageArgs(cobra.NoArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			checks := a.checks(ctx, cmd, noStart)
			err := list(a, checks, func() {
				rows := make([][]string, 0, len(checks))
				for _, c := range checks {
					rows = append(rows, []string{mark(c), c.Name, c.Text, c.Fix})
				}
				writeTable(a.out, []string{"", "WHAT", "FOUND", "WHAT TO DO"}, rows)
			})
			for _, c := range checks {
				if !c.OK && err == nil {
					err = &exit{exitFault}
				}
			}
			return err
		}),
	}
	nodeFlags(cmd)
	cmd.Flags().BoolVar(&noStart, "no-start", false, "start no node where none runs")
	return cmd
}

// mark tells what is wrong from what is only less than this machine could do.
func mark(c control.Check) string {
	switch {
	case !c.OK:
		return "WRONG"
	case c.Fix != "":
		return "warn"
	}
	return "ok"
}

// checks goes on to what depends on a thing only while that thing is right.
func (a *app) checks(ctx context.Context, cmd *cobra.Command, noStart bool) []control.Check {
	dir, origin := config.Dir(a.dataDir, a.env)
	var checks []control.Check
	add := func(name, text string, err error, fix string) bool {
		if err != nil {
			checks = append(checks, control.Check{Name: name, Text: err.Error(), Fix: fix})
			return false
		}
		checks = append(checks, control.Check{Name: name, OK: true, Text: text})
		return true
	}
	err := checkDir(dir)
	if !add("data directory", fmt.Sprintf("%s (%s)", dir, origin), err, dirFix(dir, err)) {
		return checks
	}
	cfg, err := a.config(cmd)
	if !add("config", config.File(dir), err, "correct it, or move it away: `souk init` writes a new one") {
		return checks
	}
	key, err := identity.Load(keyFile(dir), a.passphrase)
	if !add("key", keyFile(dir), err, keyFix(err)) {
		return checks
	}
	n, fix := control.Backend(a.running()), "see "+control.LogPath(dir)
	if noStart {
		err, fix = a.running().Ping(ctx), "start it with `souk provide` or `souk node up`"
	} else {
		var started bool
		if n, started, err = a.ensure(ctx, cmd, "--until-idle", idleTime.String()); started {
			defer a.leave(ctx, n)
		}
		if wire.IsCode(err, otherSettings) {
			fix = "stop it with `souk node down`, or leave the flag out"
		}
	}
	if !add("node", "it runs", err, fix) {
		return checks
	}
	found, err := n.Doctor(ctx)
	if err != nil {
		add("node's own checks", "", err, "see "+control.LogPath(dir))
	}
	checks = append(checks, found...)
	if s, err := n.Status(ctx); err == nil && s.Providing == nil && !noStart {
		checks = append(checks, node.Prospect(ctx, node.Config{Dir: dir, Key: key, Provide: supply(cfg.Config)})...)
	}
	return checks
}

// leave ends the node that was started only to be looked at: `souk provide` is
// what comes next, and one process holds a data directory at a time. A node
// with jobs to go on with stays.
func (a *app) leave(ctx context.Context, n control.Backend) {
	s, err := n.Status(ctx)
	if err != nil || s.Jobs > 0 {
		return
	}
	if err = a.shutdown(ctx); err == nil {
		fmt.Fprintln(a.err, "stopped it again")
	}
}

func keyFix(err error) string {
	switch {
	case errors.Is(err, identity.ErrNoKey):
		return "make one with `souk init`"
	case errors.Is(err, identity.ErrOpen):
		return "take it back with chmod 600"
	case errors.Is(err, identity.ErrPassphrase), errors.Is(err, identity.ErrNoPassphrase):
		return "put the passphrase into " + config.PassphraseEnv
	}
	return "put back a backup of it, or move it away and make a new one with `souk init`"
}

var errOpenDir = errors.New("is open to other users")

func dirFix(dir string, err error) string {
	if errors.Is(err, errOpenDir) {
		return "close it: chmod 700 " + quoted(dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return whoseDir(dir)
	}
	return "run `souk init`, or name another directory with --data-dir"
}

// whoseDir is what to do about a folder that this user may not write.
func whoseDir(dir string) string {
	return fmt.Sprintf("`ls -ld %s` says whose it is: be that user, take it with `sudo chown -R \"$(id -un)\" %s`, or name another directory with --data-dir", quoted(dir), quoted(dir))
}

// checkDir tells why dir can't hold a node.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case os.IsNotExist(err):
		return fmt.Errorf("%s does not exist", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s %w (%s)", dir, errOpenDir, info.Mode().Perm())
	}
	probe, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return fmt.Errorf("it can't be written: %w", err)
	}
	defer os.Remove(probe.Name())
	return probe.Close()
}
