package provider_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/provider"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/status"
	"souk/protocol/wire"
)

func impatient(c *provider.Config) { c.Patience = 200 * time.Millisecond }

func (s *shop) ends(h market.Hash, want market.Outcome) {
	require.Eventually(s.t, func() bool { return s.record(h).Outcome == want }, time.Minute, 5*time.Millisecond)
}

func TestInputsThatDontComeHoldNothingForLong(t *testing.T) {
	s := newShop(t, impatient)
	g := newGuest(t, s)
	q, err := g.ask()
	require.NoError(t, err)
	require.NoError(t, g.reconcile())
	a := g.acceptance(q, q.Quote.TickPrice)
	require.NoError(t, g.send(a))
	s.ends(a.Lease.Hash(), market.Expired)
	s.nothingHeld()
	v := g.attach(a, 0)
	require.NoError(t, v.next(isDone), "the client learns it when it comes")
	require.True(t, v.last.Charged.IsZero())
}

// A workspace that was prepared and never started has a log that never ends.
func TestALeaseThatNobodyAttachedToTellsWhoComesLate(t *testing.T) {
	s := newShop(t, impatient)
	g := newGuest(t, s)
	a := g.lease()
	s.ends(a.Lease.Hash(), market.Expired)
	s.nothingHeld()
	v := g.attach(a, 0)
	require.NoError(t, v.next(isDone))
	require.NoError(t, v.next(settled(1)))
}

// Receipts of nothing must not buy credit, nor quotes that hold the machine.
func TestLeasesThatCostNothingEarnNothing(t *testing.T) {
	s := newShop(t, impatient)
	g := newGuest(t, s)
	a := g.lease()
	s.ends(a.Lease.Hash(), market.Expired)
	require.NoError(t, g.attach(a, 0).next(settled(1)))
	require.NoError(t, s.ledger.View(t.Context(), func(tx *ledger.Tx) error {
		p, err := tx.Peer(g.host.ID().String())
		require.Zero(t, p.Receipts)
		require.Zero(t, p.Good)
		return err
	}))
	_, err := g.ask()
	require.NoError(t, err)
	s.nothingHeld()
}

func TestVoidQuotesCountUntilTheyRunOut(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	for range provider.OpenQuotes {
		q, err := g.ask()
		require.NoError(t, err)
		_, err = status.Lease(t.Context(), g.host, s.host.ID(), q.Block, q.Signature)
		require.NoError(t, err)
	}
	_, err := g.ask()
	require.True(t, wire.IsCode(err, wire.Busy), "%v", err)
}

func TestQuotesThatRanOutLeaveTheBooks(t *testing.T) {
	late := time.Duration(0)
	s := newShop(t, func(c *provider.Config) { c.Now = func() time.Time { return time.Now().Add(late) } })
	g := newGuest(t, s)
	q, err := g.ask()
	require.NoError(t, err)
	_, err = status.Lease(t.Context(), g.host, s.host.ID(), q.Block, q.Signature)
	require.NoError(t, err)
	s.close()
	late = time.Hour
	s.open()
	require.NoError(t, s.ledger.View(t.Context(), func(tx *ledger.Tx) error {
		_, err := tx.Quote(q.Quote.Hash())
		require.ErrorIs(t, err, ledger.ErrNotFound)
		return nil
	}))
	st, err := status.Lease(t.Context(), g.host, s.host.ID(), q.Block, q.Signature)
	require.NoError(t, err)
	require.Equal(t, status.Void, st.GetState())
	require.NoError(t, s.ledger.View(t.Context(), func(tx *ledger.Tx) error {
		_, err := tx.Quote(q.Quote.Hash())
		require.ErrorIs(t, err, ledger.ErrNotFound, "asking again writes nothing")
		return nil
	}))
}

func TestLogsGoWhenTheirTimeIsOver(t *testing.T) {
	late := time.Duration(0)
	s := newShop(t, func(c *provider.Config) { c.Now = func() time.Time { return time.Now().Add(late) } })
	g := newGuest(t, s)
	a := g.lease()
	v := g.attach(a, 0)
	s.started().exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.NoError(t, v.next(settled(v.last.Seq)))
	file := filepath.Join(s.dir, "logs", a.Lease.Hash().Hex()+".log")
	stray := filepath.Join(s.dir, "logs", market.Hash{1}.Hex()+".log")
	require.NoError(t, os.WriteFile(stray, nil, 0o600))
	require.NoError(t, s.Sweep(t.Context()))
	require.FileExists(t, file)
	require.NoFileExists(t, stray)
	v.s.Close()
	s.close()
	late = 48 * time.Hour
	s.open()
	require.NoError(t, s.Sweep(t.Context()))
	require.NoFileExists(t, file)
}

// A client that comes back after its lease was closed still pays its dispute.
func TestACountersignatureCountsAfterTheLeaseWasClosed(t *testing.T) {
	late := time.Duration(0)
	s := newShop(t, func(c *provider.Config) { c.Now = func() time.Time { return time.Now().Add(late) } })
	g := newGuest(t, s)
	a := g.lease()
	v := g.attach(a, 0)
	v.silent.Store(true)
	s.started()
	require.NoError(t, v.next(isDone))
	v.s.Close()
	q, err := g.ask()
	require.NoError(t, err)
	err = g.send(g.acceptance(q, market.Amount{}))
	require.ErrorContains(t, err, "has not countersigned", "the refusal says what of it is old")
	s.close()
	late = 48 * time.Hour
	s.open()
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, market.Closed, s.record(a.Lease.Hash()).State)
	again := g.attach(a, 0)
	require.NoError(t, again.next(settled(v.last.Seq)))
	rec := s.record(a.Lease.Hash())
	require.Equal(t, rec.Newest, rec.Countersigned)
}

func TestStoppedForCoverSaysSo(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	v := g.attach(g.lease(), 0)
	v.silent.Store(true)
	s.started()
	var body market.Body
	require.NoError(t, v.next(func(e *pb.RunEvent) bool {
		if !isDone(e) {
			return false
		}
		var err error
		body, err = market.DecodeBody(e.GetDone().GetReceipt().GetBody())
		require.NoError(t, err)
		return true
	}))
	require.Equal(t, "no voucher covered the next tick", body.Detail, "clients tell by it; it must not change")
}

func TestMessagesThatNoClientSends(t *testing.T) {
	for name, bad := range map[string]func(g *guest, v *visit) *pb.Countersign{
		"a receipt never sent": func(_ *guest, v *visit) *pb.Countersign {
			return &pb.Countersign{Seq: 99, ClientSignature: make([]byte, 65)}
		},
		"a voucher of another channel": func(g *guest, v *visit) *pb.Countersign {
			o := market.Voucher{Channel: market.Hash{9}, Max: market.NewAmount(1 << 40)}
			sig, err := g.signer.Sign(g.parties.Chain.VoucherDigest(o))
			require.NoError(g.t, err)
			return &pb.Countersign{Seq: 1, ClientSignature: sig[:], Voucher: &pb.Voucher{Voucher: o.Encode(), Signature: sig[:]}}
		},
		"a signature on something else": func(g *guest, v *visit) *pb.Countersign {
			sig, err := g.signer.Sign(market.Hash{1})
			require.NoError(g.t, err)
			return &pb.Countersign{Seq: 1, ClientSignature: sig[:]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			g := newGuest(t, s)
			a := g.lease()
			v := g.attach(a, 0)
			v.silent.Store(true)
			s.started()
			require.NoError(t, v.next(ticks(1)))
			m := bad(g, v)
			require.NoError(t, v.s.Countersign(m.GetSeq(), market.Signature(m.GetClientSignature()), m.GetVoucher()))
			require.Error(t, v.next(isDone), "the stream ends")
			require.Zero(t, s.record(a.Lease.Hash()).Countersigned.Seq)
		})
	}
}

func TestNeighboursOffersAreHandedOn(t *testing.T) {
	first := newShop(t)
	found := make(chan peer.AddrInfo, 2)
	found <- peer.AddrInfo{ID: first.host.ID(), Addrs: first.host.Addrs()}
	second := newShop(t, func(c *provider.Config) {
		c.LearnAfter = time.Millisecond
		c.Neighbours = func(context.Context) <-chan peer.AddrInfo { return found }
	})
	g := newGuest(t, second)
	require.Eventually(t, func() bool {
		offers, _, err := offer.Ask(t.Context(), g.host, second.host.ID(), network, 8)
		return err == nil && len(offers) == 2 && offers[1].Peer == first.host.ID()
	}, time.Minute, 20*time.Millisecond)
}

func TestClosingEndsAttachedStreams(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	v := g.attach(g.lease(), 0)
	s.started()
	require.NoError(t, s.Provider.Close())
	err := v.next(isDone)
	require.True(t, wire.IsCode(err, wire.ShuttingDown), "%v", err)
}

func TestAPriceThatNoQuoteCanCarryIsRefused(t *testing.T) {
	most, err := market.ParseAmount("340282366920938463463374607431768211455")
	require.NoError(t, err)
	_, key := newHost(t)
	_, err = provider.New(provider.Config{Key: key, Network: network, Tick: time.Hour, MaxTime: 24 * time.Hour, Price: most})
	require.ErrorIs(t, err, market.ErrInvalid)
}
