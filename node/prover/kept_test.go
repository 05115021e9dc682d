package prover_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/prover"
)

// shelf is a store in memory.
type shelf struct {
	text []byte
	err  error
}

func (s *shelf) Load() ([]byte, error) { return s.text, s.err }

func (s *shelf) Save(text []byte) error {
	s.text = text
	return s.err
}

func TestMeasurementsOutliveARestart(t *testing.T) {
	s := &shelf{}
	w := newWorld(t, func(c *prover.Config) { c.Store = s })
	require.NoError(t, w.Measure(t.Context()))
	before := w.Measured(slug, 2)
	require.Len(t, before, 1)

	again := func(change func(*prover.Config)) *prover.Prover {
		c := w.Config
		change(&c)
		p, err := prover.New(c)
		require.NoError(t, err)
		return p
	}
	require.Equal(t, before, again(func(*prover.Config) {}).Measured(slug, 2))

	require.Empty(t, again(func(c *prover.Config) { c.Network = "other" }).Measured(slug, 2), "what doesn't verify isn't shown")
	key, _ := newKey(t)
	require.Empty(t, again(func(c *prover.Config) { c.Key = key }).Measured(slug, 2), "nor another provider's")
	for _, bad := range []*shelf{{}, {text: []byte("{")}, {text: []byte(`{"measurements":["aaaa"],"speeds":{"x":{"Ops":-1}}}`)}, {err: errors.New("no disk")}} {
		p := again(func(c *prover.Config) { c.Store = bad })
		require.Empty(t, p.Measured(slug, 2), "and what can't be read is no reason not to start: %s", bad.text)
		require.NoError(t, p.Measure(t.Context()))
	}
}
