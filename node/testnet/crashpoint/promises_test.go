package crashpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// promises are what a node has said to the other side or to its user, and must
// know of after every crash: what it spoke was durable before.
type promises struct {
	mu  sync.Mutex
	all []promise
}

// promise looks in the books for something that was said.
type promise struct {
	what string
	kept func(tx *ledger.Tx) error
}

// note remembers the promises in a message.
func (p *promises) note(m proto.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add := func(what string, kept func(tx *ledger.Tx) error) { p.all = append(p.all, promise{what, kept}) }
	switch m := m.(type) {
	case *pb.LeaseAnswer:
		if a := m.GetLease(); a != nil {
			add("the signature of a lease", signedLease(a.GetProviderSignature()))
		}
	case *pb.RunEvent:
		for _, r := range []*pb.Receipt{m.GetTick().GetReceipt(), m.GetDone().GetReceipt()} {
			if r != nil {
				add("a receipt", signedReceipt(r))
			}
		}
	case *pb.LeaseRequest:
		if a := m.GetAccept(); a != nil {
			add("an accept", accepted(a.GetClientSignature()))
			add("the voucher of an accept", vouchered(a.GetVoucher()))
		}
	case *pb.RunRequest:
		if c := m.GetCountersign(); c != nil {
			add("a countersignature", countersigned(c.GetClientSignature()))
			add("the voucher of a countersignature", vouchered(c.GetVoucher()))
		}
	}
}

// told remembers what a user was told to be on disk.
func (p *promises) told(what string, kept func(tx *ledger.Tx) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, promise{what, kept})
}

// forget is for books that can't know what was said.
func (p *promises) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = nil
}

// kept says which promise these books don't have.
func (p *promises) kept(l *ledger.Ledger) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.View(context.Background(), func(tx *ledger.Tx) error {
		for _, one := range p.all {
			if err := one.kept(tx); err != nil {
				return fmt.Errorf("%s was promised and is unknown after a crash: %w", one.what, err)
			}
		}
		return nil
	})
}

func signedLease(signature []byte) func(*ledger.Tx) error {
	return func(tx *ledger.Tx) error {
		return one(tx.Leases(ledger.Provider), func(l ledger.Lease) bool { return bytes.Equal(l.ProviderSignature, signature) })
	}
}

func accepted(signature []byte) func(*ledger.Tx) error {
	return func(tx *ledger.Tx) error {
		return one(tx.Leases(ledger.Client), func(l ledger.Lease) bool { return bytes.Equal(l.ClientSignature, signature) })
	}
}

func signedReceipt(m *pb.Receipt) func(*ledger.Tx) error {
	return func(tx *ledger.Tx) error {
		r, err := market.DecodeReceipt(m.GetReceipt())
		if err != nil {
			return err
		}
		kept, err := tx.Receipt(ledger.Provider, r.Lease, r.Seq)
		if err == nil && !bytes.Equal(kept.ProviderSignature, m.GetProviderSignature()) {
			err = fmt.Errorf("receipt %d is another one", r.Seq)
		}
		return err
	}
}

// jobOf looks for a user's job.
func jobOf(id string, is func(ledger.Job) bool) func(*ledger.Tx) error {
	return func(tx *ledger.Tx) error {
		j, err := tx.Job(id)
		if err == nil && !is(j) {
			err = fmt.Errorf("job %s isn't as it was", id)
		}
		return err
	}
}

func countersigned(signature []byte) func(*ledger.Tx) error {
	return func(tx *ledger.Tx) error {
		for l, err := range tx.Leases(ledger.Client) {
			if err != nil {
				return err
			}
			if one(tx.Receipts(ledger.Client, l.Hash), func(r ledger.Receipt) bool { return bytes.Equal(r.ClientSignature, signature) }) == nil {
				return nil
			}
		}
		return ledger.ErrNotFound
	}
}

func vouchered(m *pb.Voucher) func(*ledger.Tx) error {
	return func(tx *ledger.Tx) error {
		v, err := market.DecodeVoucher(m.GetVoucher())
		if err != nil {
			return err
		}
		ch, err := tx.Channel(ledger.Client, v.Channel)
		if err == nil && ch.Voucher.Less(v.Max) {
			err = fmt.Errorf("it was over %s, the books say %s", v.Max, ch.Voucher)
		}
		return errors.Join(err, one(tx.Vouchers(ledger.Client, v.Channel), func(kept ledger.Voucher) bool { return kept.Max == v.Max }))
	}
}

// one finds a record.
func one[T any](all func(func(T, error) bool), is func(T) bool) error {
	for record, err := range all {
		if err != nil {
			return err
		}
		if is(record) {
			return nil
		}
	}
	return ledger.ErrNotFound
}
