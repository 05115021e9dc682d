package prover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/prover"
	"souk/protocol/challenge"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

func TestANodeMeasuresItself(t *testing.T) {
	changed := 0
	w := newWorld(t, func(c *prover.Config) { c.Mode, c.Changed = prover.Off, func() { changed++ } })
	require.NoError(t, w.Measure(t.Context()))
	all := w.Measured(slug, 2)
	require.Len(t, all, 1)
	require.True(t, all[0].Own())
	require.Equal(t, 2, all[0].Count, "both at once")
	require.NoError(t, all[0].Verify("test", w.now))
	require.Empty(t, w.Measured("h100", 1), "nothing runs on a simulated one")
	require.Empty(t, w.Measured(slug, 1), "of more devices than are offered")
	require.Positive(t, changed)
	w.now = w.now.Add(offer.MeasuredFor)
	require.Empty(t, w.Measured(slug, 2), "it is over")
}

func TestAClientGivesItsMeasurementBack(t *testing.T) {
	w := newWorld(t, asIs)
	client := w.client(t)
	key := client.Peerstore().PrivKey(client.ID())
	ask := func() offer.Measurement {
		v, err := challenge.Ask(t.Context(), client, "test", w.id, claim(), quick())
		require.NoError(t, err)
		m, err := v.Measurement(w.id, w.now).Sign("test", key)
		require.NoError(t, err)
		return m
	}
	give := func(m offer.Measurement) error { return challenge.Give(t.Context(), client, w.id, m.Proto()) }

	early, err := offer.Measurement{Provider: w.id, Slug: slug, Count: 2, Mops: 1, At: w.now}.Sign("test", key)
	require.NoError(t, err)
	require.True(t, wire.IsCode(give(early), wire.WrongState), "without a challenge")
	m := ask()
	forged := m
	forged.Mops *= 2
	require.True(t, wire.IsCode(give(forged), wire.BadSignature))
	require.NoError(t, give(m))
	require.Equal(t, []offer.Measurement{m}, w.Measured(slug, 2))
	require.True(t, wire.IsCode(give(m), wire.WrongState), "one for each challenge")

	require.NoError(t, w.Measure(t.Context()))
	m = ask()
	m.Mops *= 100
	m, err = m.Sign("test", key)
	require.NoError(t, err)
	require.True(t, wire.IsCode(give(m), wire.NoMatch), "a figure that makes the provider look like a liar isn't shown")
	require.Len(t, w.Measured(slug, 2), 2)
	w.now = w.now.Add(time.Second)
}
