package provider_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/pb"
)

var errCrash = errors.New("the node has crashed")

// fate ends a node at its nth step: right before or right after a durable
// write or a call of the executor. From then on nothing it does has effect.
type fate struct {
	mu    sync.Mutex
	left  int
	dead  bool
	where string
	died  chan struct{}
}

func newFate(steps int) *fate { return &fate{left: steps, died: make(chan struct{})} }

func (f *fate) step(where string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errCrash
	}
	if f.left--; f.left == 0 {
		f.dead, f.where = true, where
		close(f.died)
		return errCrash
	}
	return nil
}

func (f *fate) alive() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errCrash
	}
	return nil
}

// around does something between two steps.
func (f *fate) around(what string, do func() error) error {
	if err := f.step("before " + what); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, f.step("after "+what))
}

type frailLedger struct {
	*ledger.Ledger
	fate *fate
}

func (l *frailLedger) Update(ctx context.Context, fn func(*ledger.Tx) error) error {
	return l.fate.around("a write", func() error { return l.Ledger.Update(ctx, fn) })
}

func (l *frailLedger) View(ctx context.Context, fn func(*ledger.Tx) error) error {
	return errors.Join(l.fate.alive(), l.Ledger.View(ctx, fn))
}

func (l *frailLedger) Peek(ctx context.Context, fn func(*ledger.Tx) error) error {
	return errors.Join(l.fate.alive(), l.Ledger.Peek(ctx, fn))
}

type frailStage struct {
	*stage
	fate *fate
}

func (s *frailStage) Prepare(ctx context.Context, spec executor.Spec) (e executor.Execution, err error) {
	err = s.fate.around("Prepare", func() (err error) { e, err = s.stage.Prepare(ctx, spec); return err })
	if err != nil {
		return nil, err
	}
	return &frailAct{e.(*act), s.fate}, nil
}

func (s *frailStage) Recover(ctx context.Context) ([]executor.Execution, error) {
	found, err := s.stage.Recover(ctx)
	for i, e := range found {
		found[i] = &frailAct{e.(*act), s.fate}
	}
	return found, err
}

type frailAct struct {
	*act
	fate *fate
}

func (a *frailAct) Start(ctx context.Context) error {
	return a.fate.around("Start", func() error { return a.act.Start(ctx) })
}

func (a *frailAct) Stop(ctx context.Context) error {
	return a.fate.around("Stop", func() error { return a.act.Stop(ctx) })
}

func (a *frailAct) Remove() error {
	return a.fate.around("Remove", func() error { return a.act.Remove() })
}

// persist is a client that goes on, over the node's crashes, until its lease
// is settled. It remembers every promise that it was given.
type persist struct {
	*guest
	a        *lease.Accepted
	promise  market.Signature
	receipts map[uint32]market.Hash
	settled  bool
}

func (g *persist) step() error {
	if err := g.reconcile(); err != nil {
		return err
	}
	if g.a == nil {
		q, err := g.ask()
		if err != nil {
			return err
		}
		g.paid = market.Amount{}
		a := g.acceptance(q, q.Quote.TickPrice)
		g.a = &a
	}
	sig, err := lease.Accept(g.t.Context(), g.host, g.shop.host.ID(), g.parties, *g.a)
	if err != nil {
		return err
	}
	require.True(g.t, g.promise == market.Signature{} || g.promise == sig, "a promise is repeated as it was")
	g.promise = sig
	if err := g.deliver(*g.a); err != nil && g.shop.record(g.a.Lease.Hash()).State == market.Preparing {
		return err
	}
	v := g.attach(*g.a, 0)
	defer v.s.Close()
	v.silent.Store(true)
	over, died := make(chan struct{}), g.shop.fate.died
	defer close(over)
	go func() {
		select {
		case <-died:
			v.s.Close()
		case <-over:
		}
	}()
	return v.next(func(e *pb.RunEvent) bool {
		g.answer(v, e)
		return g.settled
	})
}

// answer countersigns what comes, and ends the job after its first tick.
func (g *persist) answer(v *visit, e *pb.RunEvent) {
	for _, r := range v.receipts {
		if old, ok := g.receipts[r.Seq]; ok {
			require.Equal(g.t, old, r.Hash(), "receipt %d is another than before", r.Seq)
		}
		g.receipts[r.Seq] = r.Hash()
	}
	if s := e.GetSettled(); s != nil && v.last != nil && v.last.Outcome != market.NotEnded && s.GetSeq() == v.last.Seq {
		g.settled = true
		return
	}
	if e.GetTick() == nil && e.GetDone() == nil {
		return
	}
	sig, err := g.signer.Sign(g.parties.Chain.Digest(v.last.Hash()))
	require.NoError(g.t, err)
	g.paid = market.Amount{}
	voucher, vsig := g.voucher(v.last.Charged.Add(g.a.Quote.TickPrice))
	_ = v.s.Countersign(v.last.Seq, sig, &pb.Voucher{Voucher: voucher.Encode(), Signature: vsig[:]})
	if a := g.shop.stage.only(); a != nil && a.began() {
		a.exit(executor.Exited, 0)
	}
}

func TestACrashAtAnyStep(t *testing.T) {
	for n := 1; n <= 40; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.close()
			s.fate = newFate(n)
			s.open()
			g := &persist{guest: newGuest(t, s), receipts: map[uint32]market.Hash{}}
			for deaths := 0; !g.settled; {
				err := g.step()
				select {
				case <-s.fate.died:
					t.Logf("crashed %s: %v", s.fate.where, err)
					s.close()
					if s.fate = newFate(0); deaths == 0 {
						s.fate = newFate(n % 4) // and again while recovering
					}
					deaths++
					s.open()
				default:
					require.NoError(t, err)
				}
			}
			s.close()
			s.fate = nil
			s.open()
			s.nothingHeld()
			s.agrees(g)
		})
	}
}

// agrees checks that the books and the client's promises are the same.
func (s *shop) agrees(g *persist) {
	rec := s.record(g.a.Lease.Hash())
	require.Equal(s.t, market.Closed, rec.State)
	require.Equal(s.t, rec.Newest, rec.Countersigned)
	require.Equal(s.t, g.receipts[rec.Newest.Seq], rec.Newest.Hash)
	require.Contains(s.t, []market.Outcome{market.Succeeded, market.ProviderFailed, market.Cancelled}, rec.Outcome)
	require.NoError(s.t, s.ledger.View(s.t.Context(), func(tx *ledger.Tx) error {
		ch, err := tx.Channel(ledger.Provider, g.channel())
		require.Equal(s.t, rec.Newest.Charged, ch.Signed)
		require.Equal(s.t, ch.Signed, ch.Due)
		return err
	}))
}
