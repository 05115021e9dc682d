package crashpoint_test

import (
	"context"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"souk/node/ledger"
)

const noLease = "no lease"

// frailBook is a ledger whose every write is two points.
type frailBook struct {
	*ledger.Ledger
	role ledger.Role
	fate *fate
}

func (b *frailBook) Update(ctx context.Context, fn func(*ledger.Tx) error) error {
	return b.fate.around("write "+writer(), func() error {
		err := b.Ledger.Update(ctx, fn)
		b.fate.setState(newestState(ctx, b.Ledger, b.role))
		return err
	})
}

func (b *frailBook) View(ctx context.Context, fn func(*ledger.Tx) error) error {
	if b.fate.isDead() {
		return errCrash
	}
	return b.Ledger.View(ctx, fn)
}

func (b *frailBook) Peek(ctx context.Context, fn func(*ledger.Tx) error) error {
	if b.fate.isDead() {
		return errCrash
	}
	return b.Ledger.Peek(ctx, fn)
}

// newestState is the state of a side's newest lease.
func newestState(ctx context.Context, l *ledger.Ledger, role ledger.Role) (state string) {
	state = noLease
	_ = l.View(ctx, func(tx *ledger.Tx) error {
		for rec, err := range tx.Leases(role) {
			if err == nil {
				state = string(rec.State)
			}
			return err
		}
		return nil
	})
	return state
}

var closure = regexp.MustCompile(`(\.func\d+|-range\d+|\.gowrap\d+|\.\d+)+$`)

// helpers are functions that write what others tell them to.
var helpers = []string{"provider.(*lease).update", "client.(*Engine).change", "client.(*execution).edit"}

// writer names the function of a role that asked for a write.
func writer() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		name, ok := strings.CutPrefix(f.Function, "souk/node/")
		name = closure.ReplaceAllString(name, "")
		if ok && !strings.HasPrefix(name, "testnet/") && !slices.Contains(helpers, name) {
			return name
		}
		if !more {
			return "of nobody"
		}
	}
}
