package p2p

import (
	"net"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"souk/internal/pattern"
)

// inner names the interfaces whose networks usually lie within one machine:
// those of containers and virtual machines. Each machine may have the same
// addresses on them, so that what they lead to is another program for each reader.
var inner = pattern.Lazy(`^(docker\d+|br-[0-9a-f]{12}|veth.*|virbr.*|vmnet.*|vboxnet.*|lxcbr.*|lxdbr.*|podman.*|cni.*|flannel.*|cali.*)$`)

// outerFirst puts the addresses of inner networks last, because readers keep
// only the first few and a machine may have dozens of bridges.
func outerFirst(addrs []ma.Multiaddr) []ma.Multiaddr { return putLast(addrs, innerIPs()) }

func putLast(addrs []ma.Multiaddr, last map[string]bool) []ma.Multiaddr {
	rank := func(a ma.Multiaddr) int {
		if last[hostOf(a)] {
			return 1
		}
		return 0
	}
	out := slices.Clone(addrs)
	slices.SortStableFunc(out, func(a, b ma.Multiaddr) int { return rank(a) - rank(b) })
	return out
}

// innerIPs are this machine's addresses in inner networks.
func innerIPs() map[string]bool {
	ips := map[string]bool{}
	all, err := net.Interfaces()
	if err != nil {
		return ips
	}
	for _, i := range all {
		if !inner().MatchString(i.Name) {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it is gone
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				ips[n.IP.String()] = true
			}
		}
	}
	return ips
}
