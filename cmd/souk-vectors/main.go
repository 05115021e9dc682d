// Command souk-vectors writes the byte-exact vectors of the protocol into a
// folder: what another implementation has to come to from the same figures.
// scripts/generate keeps protocol/testdata equal to what it writes, and
// scripts/vectors has them recomputed by libraries that share no code with souk.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: souk-vectors DIR")
		os.Exit(2)
	}
	if err := writeAll(context.Background(), os.Args[1]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "souk-vectors:", err)
		os.Exit(1)
	}
}

func writeAll(ctx context.Context, dir string) error {
	for name, make := range map[string]func(context.Context) (any, error){
		"keys.json":      keys,
		"advertise.json": advertised,
		"frames.json":    frames,
		"offer.json":     sealedOffer,
		"documents.json": documents,
		"channels.json":  channels,
		"unixfs.json":    unixfs,
	} {
		v, err := make(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(b, '\n'), 0o644); err != nil { //nolint:gosec // to be read by all
			return err
		}
	}
	return writeLease(filepath.Join(dir, "lease.car"))
}
