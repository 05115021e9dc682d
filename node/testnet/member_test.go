package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/config"
	"souk/protocol/market"
)

func member(t *testing.T, role Role, meeting string) *Member {
	return &Member{
		Role: role, Dir: filepath.Join(t.TempDir(), "data"), Meeting: meeting, Network: "testnet-compose",
		Announce: "/dns4/bootstrap/tcp/4001", Tick: time.Second,
	}
}

func loaded(t *testing.T, m *Member) *config.Loaded {
	t.Helper()
	require.NoError(t, m.Prepare(t.Context()))
	got, err := config.Load(config.Sources{DataDir: m.Dir})
	require.NoError(t, err)
	require.Equal(t, "testnet-compose", got.Network)
	require.False(t, got.MDNS)
	require.False(t, got.Loopback, "containers meet over a network")
	require.Equal(t, 15*time.Second, got.Client.LostAfter)
	return got
}

func TestMembersMeet(t *testing.T) {
	meeting := t.TempDir()
	b := member(t, Bootstrap, meeting)
	boot := loaded(t, b)
	require.Equal(t, []string{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"}, boot.Listen)
	id, err := b.key()
	require.NoError(t, err)

	for i, price := range []uint64{400_000, 250_000, 1_800_000, 950_000, 700_000, 50_000, 400_000} {
		p := member(t, Provider, meeting)
		got := loaded(t, p)
		require.Equal(t, []string{"/dns4/bootstrap/tcp/4001/p2p/" + id.String()}, got.Bootstrap)
		require.Equal(t, market.NewAmount(price), *got.Provider.Price, "provider %d", i+1)
		require.Equal(t, i == 5, len(got.Provider.SimulateGPU) == 0)
		require.Equal(t, got.Values, loaded(t, p).Values, "a provider that starts again has what it had")
	}
	require.Nil(t, loaded(t, member(t, Client, meeting)).Provider.Price)
}

func TestAMemberKeepsItsKey(t *testing.T) {
	meeting := t.TempDir()
	b := member(t, Bootstrap, meeting)
	loaded(t, b)
	first, err := os.ReadFile(filepath.Join(meeting, meetFile))
	require.NoError(t, err)
	loaded(t, b)
	second, err := os.ReadFile(filepath.Join(meeting, meetFile))
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

func TestProvidersThatStartTogetherDrawDifferentNumbers(t *testing.T) {
	meeting := t.TempDir()
	const together = 20
	drawn := make(chan int, together)
	for i := range together {
		go func() {
			n, err := (&Member{Meeting: meeting}).draw(peer.ID(fmt.Sprint("peer", i)))
			if err != nil {
				n = 0
			}
			drawn <- n
		}()
	}
	seen := map[int]bool{}
	for range together {
		seen[<-drawn] = true
	}
	for n := 1; n <= together; n++ {
		require.True(t, seen[n], "number %d", n)
	}
}

func TestAMemberWaitsForTheBootstrap(t *testing.T) {
	meeting, dir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := Member{Role: Client, Dir: dir, Meeting: meeting, Network: "a"}
		came := time.Now().Add(30 * time.Second)
		go func() {
			time.Sleep(time.Until(came))
			_ = writeWhole(filepath.Join(meeting, meetFile), []byte("/ip4/192.0.2.1/tcp/1/p2p/x\n"), 0o644)
		}()
		addr, err := m.bootstrap(t.Context())
		require.NoError(t, err)
		require.Equal(t, "/ip4/192.0.2.1/tcp/1/p2p/x", addr)
		require.False(t, time.Now().Before(came))

		m.Meeting = dir
		_, err = m.bootstrap(t.Context())
		require.ErrorContains(t, err, "no bootstrap left its address in "+dir)
	})
}

func TestBadAnnouncement(t *testing.T) {
	for _, announce := range []string{"", "bootstrap:4001", "/dns4/bootstrap/udp/4001"} {
		m := member(t, Bootstrap, t.TempDir())
		m.Announce = announce
		require.ErrorIs(t, m.Prepare(t.Context()), ErrOptions, announce)
	}
}
