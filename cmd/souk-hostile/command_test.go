package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/protocol/market"
	"souk/protocol/offer"
)

// running is a provider command and its standard input.
type running struct {
	t     *testing.T
	stdin io.Closer
	told  *lines
	ended chan error
	ready struct {
		Peer  peer.ID  `json:"peer"`
		Addrs []string `json:"addrs"`
	}
}

func runProvider(t *testing.T, args ...string) *running {
	in, writer := io.Pipe()
	r := &running{t: t, stdin: writer, told: &lines{}, ended: make(chan error, 1)}
	file := filepath.Join(t.TempDir(), "ready")
	args = append([]string{"provider", "--network", testNetwork, "--until-stdin-closes", "--ready-file", file}, args...)
	go func() { r.ended <- command(t.Context(), args, streams{in, r.told, r.told}) }()
	t.Cleanup(r.stop)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &r.ready) == nil
	}, 20*time.Second, 20*time.Millisecond, "not ready")
	return r
}

func (r *running) stop() {
	_ = r.stdin.Close()
	if err, open := <-r.ended; open {
		require.NoError(r.t, err)
		close(r.ended)
	}
}

func TestAHostileProviderIsFoundInTheDHT(t *testing.T) {
	t.Parallel()
	first := runProvider(t, "--behave", "fake")
	second := runProvider(t, "--behave", "overcharge", "--gpu", "RTX 4090:2", "--price", "0.25/h", "--bootstrap", first.ready.Addrs[0])

	key, err := newKey()
	require.NoError(t, err)
	h, err := newHost(key, "/ip4/127.0.0.1/tcp/0")
	require.NoError(t, err)
	defer h.Close()
	d, err := newDHT(h, testNetwork)
	require.NoError(t, err)
	defer d.Close()
	boots, err := peersOf(first.ready.Addrs[0])
	require.NoError(t, err)
	require.NoError(t, join(t.Context(), h, boots))
	for _, k := range []string{"all/0/0", "cell/any/24/0/0", "cell/eu/24/0/0", "model/rtx-4090/0/0"} {
		require.Eventually(t, func() bool {
			found, err := d.FindProviders(t.Context(), rawCID(market.BlockHash([]byte("/souk/1/"+testNetwork+"/"+k))))
			for _, f := range found {
				if f.ID == second.ready.Peer {
					return err == nil
				}
			}
			return false
		}, 20*time.Second, 50*time.Millisecond, "nobody under %s", k)
	}
	offers, _, err := offer.Ask(t.Context(), h, second.ready.Peer, testNetwork, 1)
	require.NoError(t, err)
	require.Equal(t, 2, offers[0].Devices[0].Free)
	require.Less(t, offers[0].PricePerHour.String(), "252001", "0.25 an hour, rounded up to whole ticks")

	second.stop()
	require.Contains(t, second.told.String(), "hostile provider ends")
}

func TestItEndsWithItsParent(t *testing.T) {
	t.Parallel()
	l := leash{parent: os.Getppid() + 1}
	ctx, cancel := l.hold(t.Context(), nil)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on without its parent")
	}
	l.parent = os.Getppid()
	ctx, cancel = l.hold(t.Context(), nil)
	require.NoError(t, ctx.Err())
	cancel()
}

func TestWrongUsageIsNamed(t *testing.T) {
	for args, says := range map[string]string{
		"":                                      "usage:",
		"steal":                                 "usage:",
		"provider":                              "--network",
		"provider --network test --price -1":    "0.10/h",
		"provider --network test --price 1e40":  "0.10/h",
		"provider --network test --behave nice": `"nice"`,
		"provider --network test --tick 1ms":    "1s to 1h",
		"provider --network test --gpu :2":      "RTX 4090:2",
		"provider --network test --bootstrap /ip4/1.2.3.4":         "/p2p/",
		"provider --network test more":                             `"more"`,
		"client --network test --behave flood":                     "--provider",
		"client --network test --provider nonsense --behave flood": "nonsense",
	} {
		told := &lines{}
		err := command(t.Context(), strings.Fields(args), streams{nil, told, told})
		require.ErrorIs(t, err, errUsage, args)
		require.Contains(t, told.String(), says, args)
	}
}

func TestTheListHasEveryBehaviourOnce(t *testing.T) {
	told := &lines{}
	require.NoError(t, command(t.Context(), []string{"behaviours"}, streams{nil, told, told}))
	for _, name := range []string{"overcharge", "withhold:cut", "forged", "replay", "slowloris"} {
		require.Equal(t, 1, strings.Count(told.String(), "  "+name+" "), name)
	}
	for line := range strings.Lines(told.String()) {
		require.Greater(t, len(strings.Fields(line)), 1, line)
	}
}

func TestAKeyFileIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	made, err := loadKey(file)
	require.NoError(t, err)
	again, err := loadKey(file)
	require.NoError(t, err)
	require.True(t, made.Equals(again))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.WriteFile(file, []byte("no key"), 0o600))
	_, err = loadKey(file)
	require.ErrorContains(t, err, "base64")
}

func TestPrices(t *testing.T) {
	for text, want := range map[string]uint64{"0.10/h": 100_000, "1/h": 1_000_000, "0": 0, "0.000001": 1, "12.5/h": 12_500_000} {
		got, err := parsePrice(text)
		require.NoError(t, err, text)
		require.Equal(t, market.NewAmount(want), got, text)
	}
	for _, text := range []string{"", "/h", ".5", "-1", "1e4", "0.0000001", "1.2.3", "99999999999999999999999999999999999999999"} {
		_, err := parsePrice(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "0.000001 USD", usd(market.NewAmount(1)))
	require.Equal(t, "12.500000 USD", usd(market.NewAmount(12_500_000)))
}

func TestPlacesInTheDHT(t *testing.T) {
	keys := cellKeys("test", "eu", 24<<30, "rtx-4090", "anybody")
	require.Len(t, keys, 8)
	require.Subset(t, keys, []string{
		"/souk/1/test/all/0/0", "/souk/1/test/cell/any/24/0/0", "/souk/1/test/cell/eu/24/0/0", "/souk/1/test/model/rtx-4090/0/0",
	})
	for vram, tier := range map[int64]int{0: 0, 7 << 30: 0, 11 << 30: 12, 24 << 30: 24, 80 << 30: 80, 180 << 30: 141} {
		require.Equal(t, tier, tierOf(vram))
	}
}
