// Command souk-audit compares the receipts that the nodes of a market
// exported ("souk receipts export --all -o DIR") and says whether their books
// fit together. It ends with 0 where they do, 1 where they don't and 2 where
// they can't be read.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"souk/internal/money"
	"souk/protocol/audit"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
)

func main() {
	flags := flag.NewFlagSet("souk-audit", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print one JSON object")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(flags.Output(), "usage: souk-audit [--json] DIR...\n\nDIR is what one node exported with: souk receipts export --all -o DIR")
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if flags.NArg() < 2 {
		flags.Usage()
		os.Exit(2)
	}
	clients, providers, err := read(flags.Args())
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "souk-audit:", err)
		os.Exit(2)
	}
	report := audit.Run(clients, providers)
	if err := tell(os.Stdout, report, *asJSON); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "souk-audit:", err)
		os.Exit(2)
	}
	if len(report.Problems) > 0 {
		os.Exit(1)
	}
}

// read reads each folder as the books of one node, which may have both roles.
func read(dirs []string) (clients, providers []audit.Book, err error) {
	for _, dir := range dirs {
		for _, role := range []string{"client", "provider"} {
			files, err := filepath.Glob(filepath.Join(dir, role+"-*.car"))
			if err != nil {
				return nil, nil, err
			}
			slices.Sort(files)
			book := audit.Book{Name: filepath.Base(filepath.Clean(dir))}
			for _, file := range files {
				bundle, err := receiptfile.ReadFile(file)
				if err != nil {
					return nil, nil, err
				}
				book.Bundles = append(book.Bundles, bundle)
			}
			switch {
			case len(files) == 0:
			case role == "client":
				clients = append(clients, book)
			default:
				providers = append(providers, book)
			}
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, nil, err
		}
	}
	return clients, providers, nil
}

// report is audit.Report for programs.
type report struct {
	Leases        int             `json:"leases"`
	Receipts      int             `json:"receipts"`
	Channels      int             `json:"channels"`
	Countersigned market.Amount   `json:"countersigned"`
	Ahead         market.Amount   `json:"ahead"`
	Owed          market.Amount   `json:"owed"`
	Problems      []audit.Problem `json:"problems"`
}

func tell(w io.Writer, r audit.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(report(r))
	}
	var b strings.Builder
	for _, p := range r.Problems {
		if !p.Lease.IsZero() { // else it is the whole channel's
			fmt.Fprintf(&b, "lease %s, ", p.Lease.Hex()[:10])
		}
		fmt.Fprintf(&b, "channel %s: %s\n", p.Channel.Hex()[:10], p.Sentence)
	}
	fmt.Fprintf(&b, "%d leases with %d receipts on %d channels: %s USD countersigned; a client has at most %s USD vouchered beyond that on a channel, a provider at most %s USD charged beyond it on a lease\n",
		r.Leases, r.Receipts, r.Channels, money.Format(r.Countersigned), money.Format(r.Ahead), money.Format(r.Owed))
	if len(r.Problems) == 0 {
		b.WriteString("the books agree\n")
	} else {
		fmt.Fprintf(&b, "%d problems: the books don't agree\n", len(r.Problems))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
