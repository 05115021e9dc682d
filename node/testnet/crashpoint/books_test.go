package crashpoint_test

import (
	"context"
	"fmt"

	"souk/node/ledger"
	"souk/protocol/audit"
	"souk/protocol/market"
)

// audited has the independent auditor compare what both sides export, and holds
// the sums that the two ledgers keep against what it found.
func audited(w *world) error {
	clients, err := exported(w.buyer.ledger, ledger.Client)
	if err != nil {
		return err
	}
	providers, err := exported(w.seller.ledger, ledger.Provider)
	if err != nil {
		return err
	}
	report := audit.Run([]audit.Book{{Name: "client", Bundles: clients}}, []audit.Book{{Name: "provider", Bundles: providers}})
	if len(report.Problems) > 0 {
		return fmt.Errorf("the books disagree: %v", report.Problems)
	}
	for role, l := range map[ledger.Role]*ledger.Ledger{ledger.Client: w.buyer.ledger, ledger.Provider: w.seller.ledger} {
		if err := counted(l, role, report.Countersigned); err != nil {
			return err
		}
	}
	return nil
}

// exported are a ledger's leases of one role, which must all be closed. One
// that its provider never signed is none.
func exported(l *ledger.Ledger, role ledger.Role) (all []market.Bundle, err error) {
	err = l.View(context.Background(), func(tx *ledger.Tx) error {
		for rec, err := range tx.Leases(role) {
			if err != nil {
				return err
			}
			if rec.State != market.Closed {
				return fmt.Errorf("a lease of the %s is still %s", role, rec.State)
			}
			if len(rec.ProviderSignature) == 0 {
				continue
			}
			b, err := tx.Bundle(rec, networkName)
			if err != nil {
				return err
			}
			all = append(all, b)
		}
		return nil
	})
	return all, err
}

// counted compares the sums that a ledger keeps of its channels with what was
// countersigned, and the vouchers with one another.
func counted(l *ledger.Ledger, role ledger.Role, countersigned market.Amount) error {
	return l.View(context.Background(), func(tx *ledger.Tx) error {
		var due market.Amount
		for ch, err := range tx.Channels(role) {
			if err != nil {
				return err
			}
			due = due.Add(ch.Due)
			if err := growing(tx, role, ch); err != nil {
				return err
			}
		}
		if due != countersigned {
			return fmt.Errorf("the %s counts %s as due, and %s was countersigned", role, due, countersigned)
		}
		return nil
	})
}

func growing(tx *ledger.Tx, role ledger.Role, ch ledger.Channel) error {
	var before market.Amount
	for v, err := range tx.Vouchers(role, ch.ID) {
		if err != nil {
			return err
		}
		if !before.Less(v.Max) {
			return fmt.Errorf("the %s has a voucher over %s after one over %s", role, v.Max, before)
		}
		before = v.Max
	}
	if before != ch.Voucher {
		return fmt.Errorf("the %s's last voucher is over %s, its channel says %s", role, before, ch.Voucher)
	}
	return nil
}
