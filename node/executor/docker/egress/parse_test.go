package egress

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/executor/docker/egress/frame"
)

func TestParseTakesHostNames(t *testing.T) {
	got, err := Parse([]string{"Example.COM:443", "example.com:80", "a-b.x1.example.:65535", "_srv.example.com:1", "xn--bcher-kva.example:443"})
	require.NoError(t, err)
	require.Equal(t, []Target{
		{"example.com", 443}, {"example.com", 80}, {"a-b.x1.example", 65535}, {"_srv.example.com", 1}, {"xn--bcher-kva.example", 443},
	}, got)
}

func TestParseRefuses(t *testing.T) {
	for entry, why := range map[string]string{
		"":                                     "port from 1 to 65535",
		"example.com":                          "port from 1 to 65535",
		"example.com:":                         "port from 1 to 65535",
		"example.com:0":                        "port from 1 to 65535",
		"example.com:65536":                    "port from 1 to 65535",
		"example.com:-1":                       "port from 1 to 65535",
		"example.com:+80":                      "port from 1 to 65535",
		"example.com:080":                      "port from 1 to 65535",
		"example.com:http":                     "port from 1 to 65535",
		"93.184.216.34:443":                    "names an address",
		"93.184.216.34":                        "names an address",
		"[2606:4700::1]:443":                   "names an address",
		"2606:4700::1":                         "names an address",
		"::ffff:10.0.0.1":                      "names an address",
		"0x7f000001.0x1:80":                    "is an address to some programs",
		"example.1:80":                         "is an address to some programs",
		"2130706433:80":                        "without a dot",
		"localhost:80":                         "without a dot",
		"router:80":                            "without a dot",
		"db.localhost:80":                      "local network",
		"printer.local:80":                     "local network",
		"metadata.google.internal:80":          "local network",
		"nas.home.arpa:80":                     "local network",
		"exa mple.com:80":                      "no part of a host name",
		"example..com:80":                      "no part of a host name",
		".example.com:80":                      "no part of a host name",
		"example.com..:80":                     "no part of a host name",
		"-a.example.com:80":                    "no part of a host name",
		"a-.example.com:80":                    "no part of a host name",
		"bücher.example:80":                    "no part of a host name",
		"*.example.com:443":                    "no part of a host name",
		"example.com/x:80":                     "no part of a host name",
		"a\n1.2.3.4 b.example.com:80":          "no part of a host name",
		"example.com=127.0.0.9:80":             "no part of a host name",
		strings.Repeat("a", 64) + ".com:80":    "no part of a host name",
		strings.Repeat("a.", 125) + "info:443": "at most 253 bytes",
		strings.Repeat("a", 1000):              "at most 253",
	} {
		_, err := Parse([]string{entry})
		require.ErrorContains(t, err, why, "%q", entry)
	}
}

func TestParseBoundsTheList(t *testing.T) {
	_, err := Parse(nil)
	require.ErrorContains(t, err, "0 entries")
	_, err = Parse([]string{"example.com:443", "EXAMPLE.com.:443"})
	require.ErrorContains(t, err, "twice")
	var list []string
	for i := range frame.MaxEntries {
		list = append(list, fmt.Sprintf("example.com:%d", i+1))
	}
	_, err = Parse(list)
	require.NoError(t, err)
	_, err = Parse(append(list, "example.com:443"))
	require.ErrorContains(t, err, "33 entries")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"example.com:443", "[::1]:80", "a:b:c", "1.2.3.4:5", "a.b\x00:1", "=.:1", "--:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		fuzztest.Bound(t)
		targets, err := Parse([]string{entry})
		if err != nil {
			return
		}
		// What is taken goes into /etc/hosts, argument lists and a resolver.
		require.NotContains(t, targets[0].Host, ":")
		require.False(t, strings.ContainsAny(targets[0].Host, " \t\n\x00=#/%[]"), "%q", entry)
		again, err := Parse([]string{targets[0].String()})
		require.NoError(t, err)
		require.Equal(t, targets, again)
	})
}
