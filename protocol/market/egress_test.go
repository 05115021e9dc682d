package market_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/protocol/market"
)

func TestEgressIsToPublicPlacesOnly(t *testing.T) {
	many := make([]string, market.MaxEgress)
	for i := range many {
		many[i] = fmt.Sprintf("h%d.example.org:443", i)
	}
	for _, good := range [][]string{
		nil, {"example.org:443"}, {"a.b-c.example.org:1", "example.org:65535"}, {"1.1.1.1:53"}, {"[2606:4700::1111]:443"}, many,
		{"xn--bcher-kva.example:443"},
	} {
		require.NoError(t, market.CheckEgress(good), good)
	}
	for _, bad := range []string{
		"", "example.org", "example.org:", ":443", "example.org:0", "example.org:65536", "example.org:+1", "example.org:0443", "example.org:http",
		"EXAMPLE.org:443", "example.org.:443", "-a.example.org:443", "a_b.example.org:443", "ex ample.org:443", "a..b:443", "https://example.org:443",
		"localhost:80", "metadata:80", "docker:2375", "a.localhost:80", "printer.local:631", "metadata.google.internal:80", "router.lan:80",
		"1.0.0.127.in-addr.arpa:53",
		"127.0.0.1:80", "127.1:80", "0x7f.0.0.1:80", "2130706433:80", "0177.0.0.1:80", "0.0.0.0:80", "10.0.0.1:80", "172.16.0.1:80", "192.168.1.1:80",
		"169.254.169.254:80", "100.64.0.1:80", "100.100.100.200:80", "168.63.129.16:80", "192.0.2.1:80", "198.18.0.1:80", "224.0.0.1:80", "255.255.255.255:80", "240.0.0.1:80",
		"::1:80", "[::1]:80", "[::]:80", "[fe80::1]:80", "[fe80::1%eth0]:80", "[fd00:ec2::254]:80", "[::ffff:127.0.0.1]:80", "[::ffff:1.1.1.1]:80", "[::127.0.0.1]:80",
		"[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80", "[2606:4700:0:0:0:0:0:1111]:443", "[1.1.1.1]:80", "[ff02::1]:80", "[2001:db8::1]:80",
	} {
		require.ErrorIs(t, market.CheckEgress([]string{bad}), market.ErrInvalid, bad)
	}
	require.ErrorIs(t, market.CheckEgress(append(many, "example.org:1")), market.ErrInvalid)
	require.ErrorIs(t, market.CheckEgress([]string{"example.org:1", "example.org:1"}), market.ErrInvalid)
}

func FuzzEgress(f *testing.F) {
	for _, s := range []string{"example.org:443", "[2606:4700::1111]:443", "127.0.0.1:80", "[::ffff:7f00:1]:1", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, at string) {
		fuzztest.Bound(t)
		if market.CheckEgress([]string{at}) == nil {
			require.Regexp(t, `^[a-z0-9.:\[\]-]+:[1-9][0-9]{0,4}$`, at)
		}
	})
}
