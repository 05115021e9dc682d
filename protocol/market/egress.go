package market

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"souk/internal/pattern"
)

// hostShape is a name of at least two labels whose last one is no number: what
// a resolver could take for an address, or find in its own domain, is none.
var hostShape = pattern.Lazy(`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// localNames end names that mean something else on each machine.
var localNames = []string{".localhost", ".local", ".internal", ".localdomain", ".lan", ".home", ".intranet", ".corp", ".arpa"}

// notPublic are the ranges that netip has no method for: shared (RFC 6598),
// IETF's, benchmarks, 6to4, reserved and documentation; NAT64 and 6to4 in IPv6, which hide
// an IPv4 address; and Azure's address for its own machines.
var notPublic = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "168.63.129.16/32", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(texts))
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// CheckEgress tells what is wrong with a list of places that a job may connect
// to. Each is host:port in lower case; the host is a name with a dot in it, or
// a public address (IPv6 in brackets). What a name resolves to isn't looked at.
func CheckEgress(list []string) error {
	if len(list) > MaxEgress {
		return invalid("egress: %d places, %d are allowed", len(list), MaxEgress)
	}
	for i, at := range list {
		if err := checkPlace(at); err != nil {
			return err
		}
		if slices.Contains(list[:i], at) {
			return invalid("egress: %.80q stands there twice", at)
		}
	}
	return nil
}

func checkPlace(at string) error {
	cut := strings.LastIndexByte(at, ':')
	if cut < 1 {
		return invalid("egress: %.80q is not host:port, such as example.org:443", at)
	}
	host, port := at[:cut], at[cut+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return invalid("egress: the port of %.80q is not from 1 to 65535", at)
	}
	if bare, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(bare, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || "["+a.String()+"]" != host {
			return invalid("egress: %.80q is no IPv6 address in brackets, in its shortest form", host)
		}
		return checkAddr(host, a)
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return checkAddr(host, a)
	}
	if len(host) > 253 || !hostShape().MatchString(host) {
		return invalid("egress: %.80q is no full host name in lower case, such as example.org", host)
	}
	for _, local := range localNames {
		if strings.HasSuffix(host, local) {
			return invalid("egress: %.80q is a name of the provider's own network; only public ones can be reached", host)
		}
	}
	return nil
}

func checkAddr(host string, a netip.Addr) error {
	if !PublicAddr(a) {
		return invalid("egress: %.80q is no public address", host)
	}
	return nil
}

// PublicAddr tells whether an address lies on the public Internet: it is not
// private, shared, loopback, link-local, multicast, reserved, of a cloud's
// metadata service, or one that wraps another.
func PublicAddr(a netip.Addr) bool {
	if !a.IsValid() || a.Is4In6() || a.Zone() != "" || a.IsPrivate() || !a.IsGlobalUnicast() {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}
