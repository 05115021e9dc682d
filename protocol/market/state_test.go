package market_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/protocol/market"
)

var (
	states = []market.State{market.Requested, market.Quoted, market.Agreed, market.Preparing, market.Running, market.Finishing, market.Closed}
	events = []market.Event{market.QuoteSigned, market.Accepted, market.Prepare, market.Start, market.End, market.Close, market.GiveUp}
)

type step struct {
	from market.State
	on   market.Event
}

// allowed is the whole state machine; whatever isn't here must be refused.
var allowed = map[step]market.State{
	{market.Requested, market.QuoteSigned}: market.Quoted,
	{market.Requested, market.GiveUp}:      market.Closed,
	{market.Quoted, market.Accepted}:       market.Agreed,
	{market.Quoted, market.GiveUp}:         market.Closed,
	{market.Agreed, market.Prepare}:        market.Preparing,
	{market.Agreed, market.End}:            market.Finishing,
	{market.Preparing, market.Start}:       market.Running,
	{market.Preparing, market.End}:         market.Finishing,
	{market.Running, market.End}:           market.Finishing,
	{market.Finishing, market.Close}:       market.Closed,
}

func TestEveryStateAndEvent(t *testing.T) {
	for _, s := range append(states, "no such state") {
		for _, e := range append(events, "no such event") {
			got, err := market.Next(s, e, market.Moment{Now: 10, ExpiresAt: 10, StartBy: 10})
			if want, ok := allowed[step{s, e}]; ok {
				require.NoError(t, err, "%s while %s", e, s)
				require.Equal(t, want, got)
				continue
			}
			require.ErrorIs(t, err, market.ErrTransition, "%s while %s", e, s)
			require.Equal(t, s, got)
		}
	}
}

func TestDeadlinesHoldToTheMillisecond(t *testing.T) {
	for name, c := range map[string]struct {
		step
		late, fine market.Moment
	}{
		"accept":  {step{market.Quoted, market.Accepted}, market.Moment{Now: 11, ExpiresAt: 10, StartBy: 99}, market.Moment{Now: 10, ExpiresAt: 10}},
		"prepare": {step{market.Agreed, market.Prepare}, market.Moment{Now: 11, StartBy: 10, ExpiresAt: 99}, market.Moment{Now: 10, StartBy: 10}},
		"start":   {step{market.Preparing, market.Start}, market.Moment{Now: 11, StartBy: 10, ExpiresAt: 99}, market.Moment{Now: 10, StartBy: 10}},
	} {
		got, err := market.Next(c.from, c.on, c.late)
		require.ErrorIs(t, err, market.ErrTooLate, name)
		require.Equal(t, c.from, got, name)
		_, err = market.Next(c.from, c.on, c.fine)
		require.NoError(t, err, name)
	}
	_, err := market.Next(market.Running, market.End, market.Moment{Now: 1 << 60})
	require.NoError(t, err, "an end is never too late")
}

func TestALeaseIsLiveFromTheSignaturesToTheEnd(t *testing.T) {
	live := map[market.State]bool{market.Agreed: true, market.Preparing: true, market.Running: true, market.Finishing: true}
	for _, s := range states {
		require.Equal(t, live[s], s.Live(), s)
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	for o := market.NotEnded; o <= market.Expired; o++ {
		text, err := o.MarshalText()
		require.NoError(t, err)
		var back market.Outcome
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, o, back)
	}
	require.Equal(t, "provider_failed", market.ProviderFailed.String())
	require.Equal(t, "outcome(6)", market.Outcome(6).String())
	var o market.Outcome
	require.Error(t, o.UnmarshalText([]byte("fine")))
}
