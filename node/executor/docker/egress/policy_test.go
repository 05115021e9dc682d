package egress

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
)

// anywhere is a policy of a machine that is on no network.
func anywhere() policy { return policy{near: func() ([]netip.Prefix, error) { return nil, nil }} }

func TestNoJobConnectsTo(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254",
		"169.254.169.254", "169.254.170.2", "168.63.129.16", "172.16.0.1", "172.17.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
		"192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::2", "::10.0.0.1", "::93.184.216.34", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "ff0e::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:0:10.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::192.168.1.1", "64:ff9b::100.64.0.1", "64:ff9b:1::1", "64:ff9b:1::93.184.216.34",
		"2002:7f00:1::", "2002:0a00:0001::1", "2001::1", "2001:0:4136:e378::1", "2001:20::1", "2001:db8::1", "3fff::1", "100::1", "4000::1", "5f00::1",
	} {
		var refused *AddressError
		require.ErrorAs(t, anywhere().check(netip.MustParseAddr(text)), &refused, text)
	}
	require.Error(t, anywhere().check(netip.Addr{}))
	require.Error(t, anywhere().check(netip.MustParseAddr("2606:4700::1%eth0")))
}

func TestJobsConnectTo(t *testing.T) {
	for _, text := range []string{
		"93.184.216.34", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "168.63.129.17",
		"192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2606:4700::1", "2a00:1450:4001::1", "2001:4860:4860::8888", "2001:200::1", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34",
	} {
		require.NoError(t, anywhere().check(netip.MustParseAddr(text)), text)
	}
}

func TestNoJobConnectsToThisMachineOrItsNeighbours(t *testing.T) {
	p := policy{
		near: func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("93.184.216.30/27"), netip.MustParsePrefix("2606:4700::5/64")}, nil
		},
		deny: []netip.Prefix{netip.MustParsePrefix("8.8.0.0/16")},
	}
	for _, text := range []string{"93.184.216.30", "93.184.216.1", "::ffff:93.184.216.30", "64:ff9b::93.184.216.30", "2606:4700::5", "2606:4700::99", "8.8.8.8", "64:ff9b::8.8.8.8"} {
		require.Error(t, p.check(netip.MustParseAddr(text)), text)
	}
	for _, text := range []string{"93.184.216.34", "8.9.0.1", "2606:4700:0:1::1"} {
		require.NoError(t, p.check(netip.MustParseAddr(text)), text)
	}
	broken := errors.New("no interfaces")
	p.near = func() ([]netip.Prefix, error) { return nil, broken }
	require.ErrorIs(t, p.check(netip.MustParseAddr("1.1.1.1")), broken, "in doubt, no")
}

func TestNetworksHasLoopback(t *testing.T) {
	networks, err := Networks()
	require.NoError(t, err)
	require.True(t, contains(networks, netip.MustParseAddr("127.0.0.1")))
}

// An IPv4 address is judged alike however it is written.
func TestFormsOfOneAddressAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		four := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		plain := netip.AddrFrom4(four)
		mapped := netip.AddrFrom16(plain.As16())
		translated := nat64.Addr().As16()
		copy(translated[12:], four[:])
		public := anywhere().check(plain) == nil
		require.Equal(t, public, anywhere().check(mapped) == nil)
		require.Equal(t, public, anywhere().check(netip.AddrFrom16(translated)) == nil)
		require.Equal(t, public, anywhere().control("tcp", netip.AddrPortFrom(mapped, 443).String(), nil) == nil)
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "fe80::1%lo", "0", "::", "2002:7f00:1::", "1.1.1.1", "::ffff:169.254.169.254%0", "010.0.0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fuzztest.Bound(t)
		a, err := netip.ParseAddr(text)
		if err != nil || anywhere().check(a) != nil {
			return
		}
		for _, form := range []netip.Addr{a, a.Unmap()} {
			require.True(t, form.IsGlobalUnicast() && !form.IsPrivate() && !form.IsLoopback() && !form.IsLinkLocalUnicast() && form.Zone() == "", "%s passed", a)
		}
		if nat64.Contains(a) {
			require.NoError(t, anywhere().check(embedded(a)))
		}
	})
}
