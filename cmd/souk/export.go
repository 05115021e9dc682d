package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"souk/node/control"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
)

func (a *app) receiptsExport() *cobra.Command {
	var to string
	var all bool
	cmd := &cobra.Command{
		Use:   "export ID -o FILE.car | --all -o FOLDER",
		Short: "Write all documents of a lease into one file, which proves itself",
		Long: "Write all documents of a lease into one file, which proves itself; with --all a file for each lease, named\n" +
			"client-LEASE.car or provider-LEASE.car after the side that this node is on.",
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			switch {
			case all == (len(args) == 1):
				return usage("name one lease, or --all")
			case to == "" && all:
				return usage("name the folder to write to: --all -o FOLDER")
			case to == "":
				return usage("name the file to write: -o FILE.car")
			}
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			if all {
				return a.exportAll(ctx, n, to)
			}
			return a.exportLease(ctx, n, args[0], to)
		}),
	}
	cmd.Flags().StringVarP(&to, "output", "o", "", "the file or folder to write, which must not exist")
	cmd.Flags().BoolVar(&all, "all", false, "export every lease")
	return cmd
}

func (a *app) exportLease(ctx context.Context, n control.Backend, lease, file string) error {
	if err := writeLease(ctx, n, lease, file); err != nil {
		return err
	}
	return a.say("written to "+file, map[string]any{"event": "exported", "file": file})
}

func (a *app) exportAll(ctx context.Context, n control.Backend, dir string) error {
	receipts, err := n.Receipts(ctx)
	if err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case os.IsExist(err):
		return fail("exists", fmt.Errorf("%s exists; name a folder that doesn't", dir))
	case err != nil:
		return fail("storage_trouble", err)
	}
	for _, r := range receipts {
		if err := writeLease(ctx, n, r.Lease, filepath.Join(dir, r.Role+"-"+r.Lease+".car")); err != nil {
			return err
		}
	}
	return a.say(fmt.Sprintf("%d leases written to %s", len(receipts), dir), map[string]any{"event": "exported", "folder": dir, "leases": len(receipts)})
}

func writeLease(ctx context.Context, n control.Backend, lease, file string) error {
	bundle, err := n.Bundle(ctx, lease)
	if err != nil {
		return err
	}
	if err := writeReceiptFile(file, bundle); err != nil {
		return fail("storage_trouble", err)
	}
	return nil
}

func writeReceiptFile(file string, bundle market.Bundle) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the user's own path
	if os.IsExist(err) {
		return fmt.Errorf("%s exists; name a file that doesn't", file)
	}
	if err != nil {
		return err
	}
	err = receiptfile.Write(f, bundle)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(file)
	}
	return err
}
