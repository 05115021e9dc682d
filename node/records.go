package node

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"souk/node/client"
	"souk/node/control"
	"souk/node/ledger"
	"souk/node/provider"
	"souk/protocol/market"
	"souk/protocol/wire"
)

func pid() int { return os.Getpid() }

// address is the address that signs the node's documents.
func (n *Node) address() string {
	a, err := market.AddressOf(n.ID())
	if err != nil {
		return ""
	}
	return a.String()
}

// Leases are the provider's, newest first.
func (b *backend) Leases(ctx context.Context) (all []control.LeaseInfo, err error) {
	err = b.n.ledger.View(ctx, func(tx *ledger.Tx) error {
		for l, err := range tx.Leases(ledger.Provider) {
			if err != nil {
				return err
			}
			all = append(all, control.LeaseInfo{
				Lease: l.Hash.Hex(), Peer: l.Peer, State: string(l.State), Outcome: l.Outcome.String(), Charged: l.Newest.Charged,
				Paid: l.Countersigned.Charged, Created: timeAt(l.Created),
			})
		}
		return nil
	})
	return all, err
}

// LeaseEvents tells what happens to the provider's leases from now on.
func (b *backend) LeaseEvents(ctx context.Context) (<-chan control.LeaseEvent, error) {
	if b.n.supply == nil {
		return nil, noOffers()
	}
	return b.n.supply.feed.listen(ctx), nil
}

func leaseEvent(e provider.Event) control.LeaseEvent {
	return control.LeaseEvent{At: e.At, Kind: string(e.Kind), Peer: e.Peer, Lease: e.Lease, Outcome: e.Outcome, Charged: e.Charged, Text: e.Text}
}

// Receipts lists the newest receipt of each lease, of both roles, and the
// leases without one that money was paid ahead on.
func (b *backend) Receipts(ctx context.Context) ([]control.ReceiptInfo, error) {
	all, err := b.receipts(ctx)
	for i, r := range all {
		if err == nil && r.Role == string(ledger.Client) {
			all[i].Outcome, err = b.outcome(ctx, r)
		}
	}
	return all, err
}

// outcome is a client's lease's, or cheated where its provider was caught.
func (b *backend) outcome(ctx context.Context, r control.ReceiptInfo) (string, error) {
	lease, err := market.ParseHash(r.Lease)
	if err != nil {
		return r.Outcome, err
	}
	if _, err = b.n.client.Evidence(ctx, lease); errors.Is(err, ledger.ErrNotFound) {
		return r.Outcome, nil
	}
	return string(client.Cheated), err
}

func (b *backend) receipts(ctx context.Context) (all []control.ReceiptInfo, err error) {
	err = b.n.ledger.View(ctx, func(tx *ledger.Tx) error {
		for _, role := range []ledger.Role{ledger.Client, ledger.Provider} {
			for l, err := range tx.Leases(role) {
				if err != nil {
					return err
				}
				if l.Newest.Seq > 0 || !l.Paid.IsZero() {
					all = append(all, receiptInfo(l))
				}
			}
		}
		return nil
	})
	return all, err
}

func receiptInfo(l ledger.Lease) control.ReceiptInfo {
	at := l.Ended
	if at == 0 {
		at = l.Created
	}
	return control.ReceiptInfo{
		Lease: l.Hash.Hex(), Role: string(l.Role), Peer: l.Peer, Job: l.JobID, Seq: l.Newest.Seq, Units: l.Newest.Units,
		Charged: l.Newest.Charged, Countersigned: l.Countersigned.Charged, Vouchered: l.Paid, Outcome: outcome(l), At: timeAt(at),
	}
}

// outcome is how a lease stands. One that this side gave up has no receipt
// that says so.
func outcome(l ledger.Lease) string {
	if l.Lost && l.Outcome == market.NotEnded {
		return "lost"
	}
	return l.Outcome.String()
}

func timeAt(ms uint64) time.Time { return time.UnixMilli(int64(min(ms, 1<<62))) } //nolint:gosec // capped

// Bundle is everything about one lease, found by a unique prefix of its hash,
// with what proves that its provider cheated.
func (b *backend) Bundle(ctx context.Context, prefix string) (bundle market.Bundle, err error) {
	err = b.n.ledger.View(ctx, func(tx *ledger.Tx) error {
		l, err := findLease(tx, strings.TrimPrefix(prefix, "0x"))
		if err != nil {
			return err
		}
		if bundle, err = tx.Bundle(l, b.n.cfg.Network); err == nil && l.Role == ledger.Client {
			bundle, err = client.AddEvidence(tx, bundle, l.Hash)
		}
		return err
	})
	return bundle, err
}

// Disputes are what providers demand and this node hasn't countersigned.
func (b *backend) Disputes(ctx context.Context) ([]control.DisputeInfo, error) {
	return b.n.client.Disputes(ctx)
}

// PayDisputed pays what is in dispute over a lease, found as Bundle does.
func (b *backend) PayDisputed(ctx context.Context, prefix string, most market.Amount) error {
	lease, err := b.hash(ctx, prefix)
	if err != nil {
		return err
	}
	return b.n.client.PayDisputed(ctx, lease, most)
}

// LeaveDisputed notes that it won't be paid.
func (b *backend) LeaveDisputed(ctx context.Context, prefix string) error {
	lease, err := b.hash(ctx, prefix)
	if err != nil {
		return err
	}
	return b.n.client.LeaveDisputed(ctx, lease)
}

// hash is the lease that a prefix names.
func (b *backend) hash(ctx context.Context, prefix string) (h market.Hash, err error) {
	err = b.n.ledger.View(ctx, func(tx *ledger.Tx) error {
		l, err := findLease(tx, strings.TrimPrefix(prefix, "0x"))
		h = l.Hash
		return err
	})
	return h, err
}

// findLease looks in both roles. A node that leased from itself has one lease
// twice; the client's record is then the one with all signatures.
func findLease(tx *ledger.Tx, prefix string) (found ledger.Lease, err error) {
	var matches int
	for _, role := range []ledger.Role{ledger.Client, ledger.Provider} {
		for l, err := range tx.Leases(role) {
			if err != nil {
				return found, err
			}
			if strings.HasPrefix(l.Hash.Hex(), prefix) && l.Hash != found.Hash {
				found = l
				matches++
			}
		}
	}
	switch {
	case prefix == "" || matches == 0:
		return found, wire.Refuse(wire.Unknown, "no lease here begins with %q", prefix).Near("`souk receipts list` shows them")
	case matches > 1:
		return found, wire.Refuse(wire.BadRequest, "%d leases here begin with %q", matches, prefix).Near("write more of its digits")
	}
	return found, nil
}
