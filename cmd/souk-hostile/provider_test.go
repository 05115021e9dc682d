package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/protocol/blob"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

func faultOf(t *testing.T, err error) market.FaultCode {
	t.Helper()
	var f *market.Fault
	require.ErrorAs(t, err, &f)
	return f.Code
}

func TestAFakeLooksHonestToTheEnd(t *testing.T) {
	w := newWorld(t, "fake")
	p := w.payer(w.rent())
	require.NoError(t, p.pay())
	require.Equal(t, market.Succeeded, p.prev.Outcome)
	require.Equal(t, uint32(3), p.prev.Seq)
	require.Contains(t, string(p.log), "done")
	require.NoError(t, p.outputs(t.Context()))
	require.Contains(t, w.told.String(), "serving the outputs")
}

func TestReceiptsThatCheat(t *testing.T) {
	for name, check := range map[string]func(*testing.T, error){
		"overcharge": func(t *testing.T, err error) { require.ErrorIs(t, err, errOverTime) },
		"overbill":   func(t *testing.T, err error) { require.Equal(t, market.FaultOverCharge, faultOf(t, err)) },
		"badsig":     func(t *testing.T, err error) { require.ErrorIs(t, err, market.ErrSignature) },
		"wronglease": func(t *testing.T, err error) { require.Equal(t, market.FaultWrongLease, faultOf(t, err)) },
		"gap":        func(t *testing.T, err error) { require.Equal(t, market.FaultGap, faultOf(t, err)) },
		"equivocate": func(t *testing.T, err error) { require.Equal(t, market.FaultEquivocation, faultOf(t, err)) },
		"garbage":    func(t *testing.T, err error) { require.ErrorIs(t, err, wire.ErrMalformed) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, name)
			check(t, w.payer(w.rent()).pay())
		})
	}
}

func TestOverchargingSaysSoInPlainWords(t *testing.T) {
	w := newWorld(t, "overcharge")
	require.Error(t, w.payer(w.rent()).pay())
	require.Regexp(t, `lease [0-9a-f]{8}…: charging 1\d(\.\d)? s after 1(\.\d)? s`, w.told.String())
}

func TestAnotherReceiptForAClientThatComesBack(t *testing.T) {
	w := newWorld(t, "equivocate:later")
	p := w.payer(w.rent())
	p.start = time.Now()
	s, err := w.attach(t.Context(), p.a)
	require.NoError(t, err)
	require.NoError(t, p.listen(s, func() bool { return p.prev != nil }))
	s.Close()
	first := *p.prev
	require.Equal(t, market.FaultEquivocation, faultOf(t, p.pay()))
	require.Equal(t, first, *p.prev)
}

func TestWithheldOutputs(t *testing.T) {
	for name, want := range map[string]error{
		"withhold": blob.ErrWithheld, "withhold:end": blob.ErrWithheld, "withhold:cut": blob.ErrBroken, "withhold:swap": blob.ErrGarbage,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, name)
			p := w.payer(w.rent())
			require.NoError(t, p.pay())
			require.Equal(t, market.Succeeded, p.prev.Outcome)
			require.Equal(t, uint32(1), p.prev.Seq, "it claims to be done after one tick")
			require.ErrorIs(t, p.outputs(t.Context()), want)
		})
	}
}

func TestAStalledTransferSendsNothing(t *testing.T) {
	w := newWorld(t, "withhold:stall")
	p := w.payer(w.rent())
	require.NoError(t, p.pay())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, p.outputs(ctx), context.DeadlineExceeded)
}

func TestVanishing(t *testing.T) {
	w := newWorld(t, "vanish")
	p := w.payer(w.rent())
	go func() {
		<-w.shop.gone
		_ = w.shop.host.Close()
	}()
	require.Error(t, p.pay())
	require.Equal(t, uint32(1), p.prev.Seq, "one tick was run and paid")
}

func TestBusyRefusesEveryAccept(t *testing.T) {
	w := newWorld(t, "busy")
	for range 2 {
		a, err := w.agreed(t.Context(), "test")
		require.NoError(t, err)
		_, err = w.accept(t.Context(), a)
		require.True(t, wire.IsCode(err, wire.Taken), "%v", err)
	}
}

func TestSilenceAndSlowness(t *testing.T) {
	for name, within := range map[string]time.Duration{"silent": 2 * time.Second, "slow": 4 * time.Second} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, name)
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			s, err := run.Open(ctx, w.guest.host, w.target.ID, run.Attach{Lease: w.rent().Lease.Hash()})
			require.NoError(t, err)
			_, err = s.Next()
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it ended by itself: %v", err)
		})
	}
}

func TestALiarsQuoteIsDearerThanItsOffer(t *testing.T) {
	w := newWorld(t, "liar")
	offers, _, err := offer.Ask(t.Context(), w.guest.host, w.target.ID, testNetwork, 1)
	require.NoError(t, err)
	q, err := w.quote(t.Context())
	require.NoError(t, err)
	require.Equal(t, offers[0].PricePerHour.Times(liarFactor), q.Quote.PricePerHour())
}

func TestForgedOffersAreAllCaught(t *testing.T) {
	w := newWorld(t, "forged")
	var a pb.OfferAnswer
	q := &pb.OfferQuery{Network: testNetwork, Limit: 16}
	require.NoError(t, wire.Ask(t.Context(), w.guest.host, w.target.ID, wire.OfferProtocol, q, &a, wire.MaxControl))
	require.Len(t, a.GetEnvelopes(), 5)
	for i, want := range []error{nil, offer.ErrInvalid, offer.ErrExpired, offer.ErrOtherNetwork, offer.ErrInvalid} {
		_, err := offer.Open(a.GetEnvelopes()[i], testNetwork, time.Now())
		require.ErrorIs(t, err, want, "envelope %d", i)
	}
	good, _, err := offer.Ask(t.Context(), w.guest.host, w.target.ID, testNetwork, 16)
	require.NoError(t, err)
	require.Len(t, good, 1)
	require.Equal(t, w.target.ID, good[0].Peer)
}

func TestEachLeaseHasItsBehaviourAndTheLastRepeats(t *testing.T) {
	w := newWorld(t, "overbill, busy,fake")
	require.Equal(t, market.FaultOverCharge, faultOf(t, w.payer(w.rent()).pay()))
	a, err := w.agreed(t.Context(), "second")
	require.NoError(t, err)
	for range 2 { // a repeated accept is no lease of its own
		_, err = w.accept(t.Context(), a)
		require.True(t, wire.IsCode(err, wire.Taken), "%v", err)
	}
	for range 2 {
		require.NoError(t, w.payer(w.rent()).pay())
	}
}

func TestACancelledLeaseEnds(t *testing.T) {
	w := newWorld(t, "fake")
	require.NoError(t, w.cancel(t.Context(), w.rent()))
}

func TestAnUnknownBehaviourIsNamed(t *testing.T) {
	_, err := parseCheats("fake,honest")
	require.ErrorContains(t, err, `"honest"`)
	require.ErrorContains(t, err, "withhold:cut")
}
