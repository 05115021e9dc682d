package testnet_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/protocol/audit"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
)

// agree waits until the auditor finds nothing wrong with what the named nodes
// export, of the leases that they have with one another, and has each of them
// verify all of its own.
func (w *world) agree(clients, providers []string) audit.Report {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		report := w.audit(clients, providers)
		if len(report.Problems) == 0 {
			require.NotZero(w.t, report.Leases, "an audit of nothing")
			for _, name := range slices.Concat(clients, providers) {
				souk(w.t, w.dir(name), "receipts", "verify", "--all").ends(0)
			}
			return report
		}
		if time.Now().After(deadline) {
			require.FailNow(w.t, "the books disagree", "%v", report.Problems)
		}
		<-time.After(4 * lookAgain)
	}
}

func (w *world) audit(clients, providers []string) audit.Report {
	w.t.Helper()
	parties := map[market.Address]bool{}
	for _, name := range slices.Concat(clients, providers) {
		id, err := peer.Decode(w.node(name).Peer)
		require.NoError(w.t, err)
		address, err := market.AddressOf(id)
		require.NoError(w.t, err)
		parties[address] = true
	}
	read := func(names []string, role string) (books []audit.Book) {
		for _, name := range names {
			books = append(books, audit.Book{Name: name, Bundles: w.exported(name, role, parties)})
		}
		return books
	}
	return audit.Run(read(clients, "client"), read(providers, "provider"))
}

// exported are a node's leases in one role, with the parties alone.
func (w *world) exported(name, role string, parties map[market.Address]bool) (bundles []market.Bundle) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "books")
	souk(w.t, w.dir(name), "receipts", "export", "--all", "-o", dir).ends(0)
	files, err := os.ReadDir(dir)
	require.NoError(w.t, err)
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), role) {
			continue
		}
		bundle, err := receiptfile.ReadFile(filepath.Join(dir, file.Name()))
		require.NoError(w.t, err)
		quote, err := market.DecodeQuote(bundle.Quote)
		require.NoError(w.t, err)
		if parties[quote.Client] && parties[quote.Provider] {
			bundles = append(bundles, bundle)
		}
	}
	require.NoError(w.t, os.RemoveAll(dir))
	return bundles
}
