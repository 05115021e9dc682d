package crashpoint_test

import (
	"context"
	"errors"
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
	var providers []audit.Book
	var ledgers []*ledger.Ledger
	for _, s := range w.sellers() {
		all, err := exported(s.ledger, ledger.Provider)
		if err != nil {
			return err
		}
		providers, ledgers = append(providers, audit.Book{Name: "the provider in " + s.region, Bundles: all}), append(ledgers, s.ledger)
	}
	report := audit.Run([]audit.Book{{Name: "client", Bundles: clients}}, providers)
	if len(report.Problems) > 0 {
		return fmt.Errorf("the books disagree: %v", report.Problems)
	}
	return errors.Join(counted(ledger.Client, report.Countersigned, w.buyer.ledger), counted(ledger.Provider, report.Countersigned, ledgers...))
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

// counted compares the sums that ledgers keep of their channels with what was
// countersigned, and the vouchers with one another.
func counted(role ledger.Role, countersigned market.Amount, all ...*ledger.Ledger) error {
	var due market.Amount
	for _, l := range all {
		err := l.View(context.Background(), func(tx *ledger.Tx) error {
			for ch, err := range tx.Channels(role) {
				if err != nil {
					return err
				}
				due = due.Add(ch.Due)
				if err := growing(tx, role, ch); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if due != countersigned {
		return fmt.Errorf("the %s counts %s as due, and %s was countersigned", role, due, countersigned)
	}
	return nil
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
