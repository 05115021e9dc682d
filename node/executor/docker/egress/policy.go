package egress

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// reserved are the networks that no job may connect to, by the special-purpose
// registries of IANA and what clouds keep for themselves.
var reserved = []struct {
	network netip.Prefix
	name    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier's customers"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's own service"}, // Azure's, public by its looks
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},              // with the clouds' metadata service, 169.254.169.254
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documents"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documents"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documents"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, // with broadcast
	{netip.MustParsePrefix("2001::/23"), "reserved"},   // Teredo and others
	{netip.MustParsePrefix("2001:db8::/32"), "for documents"},
	{netip.MustParsePrefix("2002::/16"), "6to4, which hides an IPv4 address"},
	{netip.MustParsePrefix("3fff::/20"), "for documents"},
}

var (
	global6 = netip.MustParsePrefix("2000::/3")     // all that is routed; ULA, link-local, multicast and the rest are outside
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // its last four bytes are an IPv4 address
)

// An AddressError is an address that no job may connect to.
type AddressError struct {
	Addr netip.Addr
	Why  string // "private", "loopback", ...
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%s is %s, and jobs may connect to public addresses only", e.Addr, e.Why)
}

// special says what keeps an address from being a public one, "" of a public one.
// IPv4 addresses are judged alike in each of their IPv6 forms.
func special(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Zone() != "":
		return "of one link only"
	case a.Is4In6():
		return special(a.Unmap())
	case nat64.Contains(a):
		return special(embedded(a))
	case a.Is6() && !global6.Contains(a):
		return "not a public IPv6 address"
	}
	for _, r := range reserved {
		if r.network.Contains(a) {
			return r.name
		}
	}
	return ""
}

// embedded is the IPv4 address in the last four bytes of an IPv6 one.
func embedded(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// policy decides which addresses jobs may connect to.
type policy struct {
	deny []netip.Prefix
	near func() ([]netip.Prefix, error)
}

// check is nil for an address that a job may connect to, and else an
// *AddressError or the error of finding out where this machine itself is.
func (p policy) check(a netip.Addr) error {
	if why := special(a); why != "" {
		return &AddressError{a, why}
	}
	near, err := p.near()
	if err != nil {
		return fmt.Errorf("the networks of this machine can't be read, so nothing can be told from a local address: %w", err)
	}
	forms := []netip.Addr{a.Unmap()}
	if nat64.Contains(a) {
		forms = append(forms, embedded(a))
	}
	for _, form := range forms {
		if contains(near, form) {
			return &AddressError{a, "on this machine or its own network"}
		}
		if contains(p.deny, form) {
			return &AddressError{a, "refused by this provider"}
		}
	}
	return nil
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// control is a net.Dialer's Control: it judges the address that is about to be
// dialled, whatever the name was said to lead to.
func (p policy) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return p.check(a.Addr())
}

// Networks gives the networks that this machine's interfaces are on, which is
// where its own addresses and its neighbours are.
func Networks() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	networks := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		n, err := netip.ParsePrefix(a.String())
		if err != nil {
			return nil, err
		}
		networks = append(networks, n)
	}
	return networks, nil
}
