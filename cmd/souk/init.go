package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"souk/node/config"
	"souk/node/identity"
	"souk/protocol/market"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make a key, a data directory and a commented config file",
		Long:  "Makes what a node needs. What is there already is left alone. A passphrase in SOUK_PASSPHRASE seals the key.",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(_ context.Context, _ *cobra.Command, _ []string) error {
			dir, _ := config.Dir(a.dataDir, a.env)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fail("data_dir", fmt.Errorf("the data directory can't be made: %w; name another one with --data-dir", err))
			}
			key, err := identity.Create(keyFile(dir), a.env(config.PassphraseEnv))
			made := err == nil
			if errors.Is(err, identity.ErrExists) {
				key, err = identity.Load(keyFile(dir), a.passphrase)
			}
			if errors.Is(err, fs.ErrPermission) {
				return fail("data_dir", fmt.Errorf("this user may not write the data directory %s; %s", dir, whoseDir(dir)))
			}
			if err != nil {
				return fail("bad_key", err)
			}
			written, err := config.WriteTemplate(dir)
			if err != nil {
				return fail("data_dir", fmt.Errorf("the config file can't be written: %w", err))
			}
			return a.showInit(dir, key, made, written)
		}),
	}
}

func (a *app) showInit(dir string, key crypto.PrivKey, made, written bool) error {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return err
	}
	address, err := market.AddressOf(id)
	if err != nil {
		return err
	}
	if a.json {
		return a.line(map[string]any{
			"dataDir": dir, "peer": id, "address": address, "config": config.File(dir), "madeKey": made, "madeConfig": written,
		})
	}
	state := func(made bool) string {
		if made {
			return "made"
		}
		return "was there, left alone"
	}
	fmt.Fprintf(a.out, "data directory  %s\nkey             %s (%s)\nconfig          %s (%s)\npeer ID         %s\naddress         %s\n",
		dir, keyFile(dir), state(made), config.File(dir), state(written), id, address)
	return nil
}

// passphrase of a sealed key: from the environment, else asked on a terminal.
func (a *app) passphrase() (string, error) {
	if p := a.env(config.PassphraseEnv); p != "" {
		return p, nil
	}
	f, ok := a.in.(*os.File)
	if !ok || !isTerminal(f) {
		return "", fmt.Errorf("put it into %s", config.PassphraseEnv)
	}
	fmt.Fprint(a.err, "passphrase of the key: ")
	p, err := term.ReadPassword(int(f.Fd())) //nolint:gosec // a file descriptor is small
	fmt.Fprintln(a.err)
	return string(p), err
}
