package config_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/config"
	"souk/protocol/market"
)

// dir is a data directory with that config file.
func dir(t testing.TB, file string) string {
	d := t.TempDir()
	require.NoError(t, os.WriteFile(config.File(d), []byte(file), 0o600))
	return d
}

func load(t testing.TB, s config.Sources) *config.Loaded {
	got, err := config.Load(s)
	require.NoError(t, err)
	return got
}

func origin(l *config.Loaded, key string) config.Value {
	for _, v := range l.Values {
		if v.Key == key {
			return v
		}
	}
	return config.Value{}
}

func TestDefaults(t *testing.T) {
	got := load(t, config.Sources{DataDir: t.TempDir()})
	require.Equal(t, "souk", got.Network)
	require.True(t, got.MDNS)
	require.Equal(t, time.Minute, got.Provider.Tick)
	require.Equal(t, []string{"auto"}, got.Provider.Executors)
	require.Nil(t, got.Provider.Price)
	require.Equal(t, market.NewAmount(5_000_000), got.Client.CapPeer)
	require.Equal(t, slog.LevelInfo, got.LogLevel)
	for _, v := range got.Values[1:] {
		require.Equal(t, "default", v.Origin, v.Key)
	}
}

func TestLaterLayersWin(t *testing.T) {
	d := dir(t, "network: from-file\nregion: eu\nprovider:\n  price: 0.10/h\n  tick: 5s\nbootstrap:\n  - /dnsaddr/a.example\n  - /dnsaddr/b.example\n")
	env := []string{"SOUK_NETWORK=from-env", "SOUK_PROVIDER_PRICE=0.20/h", "SOUK_BOOTSTRAP=/dnsaddr/c.example, /dnsaddr/d.example", "PATH=/bin"}
	flags := []config.Flag{{Name: "--price", Key: "provider.price", Values: []string{"0.30/h"}}}
	got := load(t, config.Sources{DataDir: d, Environ: env, Flags: flags})

	require.Equal(t, "eu", got.Region)
	require.Equal(t, config.File(d)+":2", origin(got, "region").Origin)
	require.Equal(t, 5*time.Second, got.Provider.Tick)
	require.Equal(t, config.File(d)+":5", origin(got, "provider.tick").Origin)
	require.Equal(t, "from-env", got.Network)
	require.Equal(t, "SOUK_NETWORK", origin(got, "network").Origin)
	require.Equal(t, []string{"/dnsaddr/c.example", "/dnsaddr/d.example"}, got.Bootstrap)
	require.Equal(t, market.NewAmount(300_000), *got.Provider.Price)
	require.Equal(t, config.Value{Key: "provider.price", Values: []string{"0.30/h"}, Origin: "--price"}, origin(got, "provider.price"))
	require.Equal(t, "default", origin(got, "mdns").Origin)
	require.Empty(t, got.Warnings)
}

func TestDataDir(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	got := load(t, config.Sources{DataDir: a, Environ: []string{"SOUK_DATA_DIR=" + b}})
	require.Equal(t, a, got.DataDir)
	require.Equal(t, "--data-dir", origin(got, "data_dir").Origin)
	got = load(t, config.Sources{Environ: []string{"SOUK_DATA_DIR=" + b}})
	require.Equal(t, b, got.DataDir)
	require.Equal(t, "SOUK_DATA_DIR", origin(got, "data_dir").Origin)
	path, from := config.Dir("", func(string) string { return "" })
	require.Equal(t, "souk", filepath.Base(path))
	require.Equal(t, "default", from)
}

func TestBadConfig(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"no YAML":            {"network: [", "config.yaml: it is no YAML: line 1"},
		"unknown key":        {"network: a\nnetwok: b", "config.yaml:2: netwok: unknown key, did you mean network?"},
		"unknown inner":      {"provider:\n  prise: 1", "config.yaml:2: provider.prise: unknown key, did you mean provider.price?"},
		"unknown section":    {"provder:\n  price: 1", "config.yaml:1: provder: unknown key"},
		"twice":              {"region: eu\nregion: na", "config.yaml:2: region: it stands here again"},
		"a list":             {"- a", "config.yaml:1: keys and values are needed here"},
		"section no map":     {"provider: 5", "config.yaml:1: provider: keys and values are needed here"},
		"null":               {"region:", "config.yaml:1: region: a value is needed here"},
		"list for one":       {"region: [eu]", "config.yaml:1: region: one value is needed, not a list"},
		"network":            {"network: Souk!", "config.yaml:1: network: "},
		"price -1":           {"provider: {price: -1}", "config.yaml:1: provider.price: \"-1\" is no amount: it is negative"},
		"price 1e40":         {"provider: {price: 1e40}", "provider.price: \"1e40\" is no amount"},
		"tick":               {"provider:\n  tick: 2h", "config.yaml:2: provider.tick: 2h0m0s is not from 1s to 1h0m0s"},
		"tick no unit":       {"provider: {tick: 60}", "\"60\" is no time"},
		"cpu":                {"provider: {cpu: -1}", "is not a whole number from 0"},
		"memory":             {"provider: {memory: lots}", "is not a size"},
		"memory, no unit":    {"provider: {memory: 8}", "provider.memory: 8 is 8 bytes: write 8GiB"},
		"disk, no unit":      {"provider: {disk: 4096}", "provider.disk: 4096 is 4096 bytes: write 4096MiB"},
		"gpu":                {"provider: {simulate_gpu: [\"RTX 4090:0\"]}", "provider.simulate_gpu: "},
		"executor":           {"provider: {executors: [slurm]}", "\"slurm\" is no executor that this release has"},
		"executor twice":     {"provider: {executors: [wasm, wasm]}", "wasm stands there twice"},
		"auto and another":   {"provider: {executors: [auto, wasm]}", "auto stands beside others"},
		"no executor":        {"provider: {executors: []}", "a provider needs an executor"},
		"egress":             {"docker: {egress: all}", "docker.egress: \"all\" is neither none nor public"},
		"auth":               {"docker: {auth: config.json}", "is not an absolute path"},
		"registry":           {"docker: {registries: [\"https://a\"]}", "is no registry"},
		"prepay":             {"provider: {prepay_ticks: 0}", "it must be 1 at least"},
		"bootstrap":          {"bootstrap: [example.com]", "\"example.com\" is no multiaddr"},
		"mdns":               {"mdns: maybe", "neither true nor false"},
		"log level":          {"log_level: loud", "is no log level"},
		"second document":    {"mdns: true\n---\nmdns: true", "it holds a second document"},
		"too long":           {strings.Repeat("#", 1<<20+1), "more than 1MiB"},
		"key with a dot":     {"provider.price: [1]", "one value is needed"},
		"lost before redial": {"client: {lost_after: 5s}", "is not from 11s"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Sources{DataDir: dir(t, c.file)})
			var wrong *config.Error
			require.ErrorAs(t, err, &wrong)
			require.Contains(t, err.Error(), c.want)
		})
	}
}

func TestBadValuesNameTheirSource(t *testing.T) {
	d := t.TempDir()
	_, err := config.Load(config.Sources{DataDir: d, Environ: []string{"SOUK_PROVIDER_PRICE=free"}})
	require.ErrorContains(t, err, "SOUK_PROVIDER_PRICE: provider.price: \"free\" is no amount")
	_, err = config.Load(config.Sources{DataDir: d, Flags: []config.Flag{{Name: "--tick", Key: "provider.tick", Values: []string{"0"}}}})
	require.ErrorContains(t, err, "--tick: provider.tick: ")
	_, err = config.Load(config.Sources{DataDir: d, Flags: []config.Flag{{Name: "--x", Key: "x", Values: []string{"0"}}}})
	require.ErrorContains(t, err, "there is no config key")
}

func TestAnUnknownVariableIsAWarning(t *testing.T) {
	got := load(t, config.Sources{DataDir: t.TempDir(), Environ: []string{"SOUK_NETWOK=a", "SOUK_PASSPHRASE=x"}})
	require.Equal(t, []string{"SOUK_NETWOK in the environment means nothing to souk, did you mean SOUK_NETWORK?"}, got.Warnings)
}

func TestTheTemplateChangesNothing(t *testing.T) {
	d := t.TempDir()
	written, err := config.WriteTemplate(d)
	require.NoError(t, err)
	require.True(t, written)
	want := load(t, config.Sources{DataDir: t.TempDir()})
	got := load(t, config.Sources{DataDir: d})
	want.DataDir, got.DataDir = "", ""
	require.Equal(t, want.Config, got.Config)

	require.NoError(t, os.WriteFile(config.File(d), []byte("region: eu"), 0o600))
	written, err = config.WriteTemplate(d)
	require.NoError(t, err)
	require.False(t, written, "a config file is never overwritten")
	require.Equal(t, "eu", load(t, config.Sources{DataDir: d}).Region)
}

// Every line of the template, its # taken away, says what holds anyway.
func TestTheTemplateNamesTheDefaults(t *testing.T) {
	open := regexp.MustCompile(`(?m)^( *)#([a-z])`).ReplaceAll(config.Template(), []byte("$1$2"))
	want := load(t, config.Sources{DataDir: t.TempDir()})
	got := load(t, config.Sources{DataDir: dir(t, string(open))})
	for i, v := range got.Values[1:] {
		require.Contains(t, v.Origin, config.FileName, v.Key)
		require.Equal(t, want.Values[i+1].Key, v.Key)
	}
	require.Equal(t, want.Provider.Tick, got.Provider.Tick)
	require.Equal(t, want.Client, got.Client)
	require.Equal(t, want.Network, got.Network)
	require.Nil(t, got.Provider.Price)
}

func FuzzFile(f *testing.F) {
	f.Add(config.Template())
	f.Add([]byte("provider: {price: -1}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? [a]\n: b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bound(t)
		d := t.TempDir()
		require.NoError(t, os.WriteFile(config.File(d), data, 0o600))
		if _, err := config.Load(config.Sources{DataDir: d}); err != nil {
			var wrong *config.Error
			require.ErrorAs(t, err, &wrong)
		}
	})
}
