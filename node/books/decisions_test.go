package books_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

var (
	parties = markettest.Standard()
	chain   = market.NoChain("souk-test")
	quote   = market.Quote{
		Provider: parties.Provider.Address(), Client: parties.Client.Address(), Channel: market.Hash{7}, TickUnits: 1000,
		TickPrice: market.NewAmount(100), MaxTicks: 10, MaxMillis: 10_000, ExpiresAt: 1000, StartBy: 2000,
	}
	terms   = market.Terms{PrepayTicks: 1}
	account = books.Account{
		Channel: ledger.Channel{ID: quote.Channel, Role: ledger.Client}, Caps: books.Caps{PerPeer: market.NewAmount(1000), InAll: market.NewAmount(1000)},
	}
)

// A provider that gave one quote twice got its lease written over, and what
// had been countersigned on it counted once more.
func TestAQuoteThatCameBeforeIsNoSecondLease(t *testing.T) {
	side := books.NewSide(chain, parties.Client)
	w, err := side.Lease(account, ledger.Lease{Hash: market.Hash{1}}, quote, terms, false, 1)
	require.NoError(t, err)
	require.Equal(t, market.NewAmount(100), w.Channel.Voucher)
	_, err = side.Lease(account, *w.Lease, quote, terms, true, 2)
	require.ErrorIs(t, err, books.ErrKnown)
}

// Books of a backup from before the start accused the provider of charging
// for time before it.
func TestAStartThatAnEarlierLifeMayHaveAskedForCountsFromTheLease(t *testing.T) {
	l := ledger.Lease{State: market.Agreed, Created: 100}
	fresh, err := books.Ask(l, quote, true, 900)
	require.NoError(t, err)
	require.EqualValues(t, 900, fresh.Started)
	resumed, err := books.Ask(l, quote, false, 900)
	require.NoError(t, err)
	require.EqualValues(t, 100, resumed.Started)
}

// A restored client waited for ever for the end of a lease that it had
// countersigned, and then blamed the provider.
func TestACountersignedEndThatABackupLacksEndsTheLease(t *testing.T) {
	r := market.Receipt{Lease: market.Hash{1}, Seq: 3, Charged: market.NewAmount(250), Outcome: market.Succeeded}
	shown := books.Shown{Quote: quote, Terms: terms, Lease: ledger.Lease{Hash: r.Lease, ProviderSignature: []byte{1}}, Receipt: &r, Signed: ledger.Receipt{Lease: r.Lease, Seq: 3, ClientSignature: []byte{1}}}
	for _, s := range []market.State{market.Quoted, market.Agreed, market.Preparing, market.Running} {
		known := ledger.Lease{Hash: r.Lease, Role: ledger.Client, State: s, Paid: market.NewAmount(100)}
		a := books.AdoptAsClient(&known, account.Channel, shown, 1)
		require.Equal(t, market.Finishing, a.Lease.State, s)
		require.Equal(t, market.Succeeded, a.Lease.Outcome)
		require.Equal(t, r.Charged, a.Channel.Due)
		again := books.AdoptAsClient(a.Lease, *a.Channel, shown, 1)
		require.False(t, again.News, "nothing counts twice")
	}
}

// A client that never heard whether its accept was taken gave the lease up, and
// countersigned its end when the provider was back; its books then lacked the
// provider's signature on the lease, and no export had it.
func TestALeaseThatWasGivenUpUnansweredTakesTheProvidersSignature(t *testing.T) {
	shown := books.Shown{Quote: quote, Terms: terms, Lease: ledger.Lease{Hash: market.Hash{1}, ProviderSignature: []byte{1}}}
	known := ledger.Lease{Hash: market.Hash{1}, Role: ledger.Client, State: market.Closed, Lost: true, Paid: market.NewAmount(100)}
	a := books.AdoptAsClient(&known, account.Channel, shown, 1)
	require.False(t, a.News, "no backup lacked it")
	require.Nil(t, a.Channel, "no sum changes")
	want := known
	want.ProviderSignature = []byte{1}
	require.Equal(t, want, *a.Lease)
	require.Nil(t, books.AdoptAsClient(a.Lease, account.Channel, shown, 1).Lease, "once")

	known.State = market.Quoted
	require.Nil(t, books.AdoptAsClient(&known, account.Channel, shown, 1).Lease, "of one that lives the client asks itself")
}

// A client that shows only its newest countersigned receipt lets a restored
// provider sign another one with the number of the last.
func TestASideShowsTheNewestReceiptBesideTheNewestCountersigned(t *testing.T) {
	require.Equal(t, []uint32{4, 5}, books.Numbers(ledger.Lease{Newest: ledger.Mark{Seq: 5}, Countersigned: ledger.Mark{Seq: 4}}))
	require.Equal(t, []uint32{5}, books.Numbers(ledger.Lease{Newest: ledger.Mark{Seq: 5}, Countersigned: ledger.Mark{Seq: 5}}))
	require.Empty(t, books.Numbers(ledger.Lease{}))
}
