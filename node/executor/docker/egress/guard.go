package egress

import (
	"net/netip"
	"syscall"
)

// Guard decides which addresses this node may connect to for somebody else: the
// public ones only, whatever name led there.
type Guard struct {
	Deny     []netip.Prefix                 // not these either
	External func() []netip.Addr            // the addresses at which others see this machine; nil: not known
	Networks func() ([]netip.Prefix, error) // this machine's own; nil: Networks
}

// Control is a net.Dialer's: it judges the address that is about to be dialled. Its error
// is an *AddressError, or that of finding out where this machine itself is.
func (g Guard) Control(network, address string, c syscall.RawConn) error {
	return g.policy().control(network, address, c)
}

func (g Guard) policy() policy { return policy{deny: g.Deny, near: g.near} }

// near gives the networks of this machine's interfaces and the addresses that
// others see it at. A router may lead those back into its own network.
func (g Guard) near() ([]netip.Prefix, error) {
	networks := g.Networks
	if networks == nil {
		networks = Networks
	}
	near, err := networks()
	if err != nil || g.External == nil {
		return near, err
	}
	near = append([]netip.Prefix(nil), near...)
	for _, a := range g.External() {
		a = a.Unmap().WithZone("")
		if a.IsValid() {
			near = append(near, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return near, nil
}
