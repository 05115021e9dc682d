package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"souk/internal/quantity"
	"souk/node/control"
	"souk/node/device"
)

const (
	lowDisk   = 1 << 30          // bytes free below which the doctor complains
	tooEarly  = 1_767_225_600    // Unix s of 2026-01-01: a clock before that was never set
	doctorMax = 20 * time.Second // for all checks together
)

// Doctor looks for what is wrong with this node, and says what to do about it.
func (b *backend) Doctor(ctx context.Context) ([]control.Check, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorMax)
	defer cancel()
	n := b.n
	checks := []control.Check{n.checkKey(), n.checkBooks(), n.checkClock(), n.checkDisk(), n.checkNetwork()}
	if n.supply == nil {
		return append(checks, control.Check{Name: "executors", OK: true, Text: "this node makes no offers, so no jobs run here"}), nil
	}
	return append(checks, n.supply.check(ctx)...), nil
}

func (n *Node) checkKey() control.Check {
	if at := n.net.Twin(); at != "" {
		return control.Check{Name: "identity", Text: fmt.Sprintf("another node with the key of peer %s runs on the local network (%s)", n.ID(), at), Fix: mendTwin}
	}
	return control.Check{Name: "identity", OK: true, Text: fmt.Sprintf("peer %s signs as %s", n.ID(), n.address())}
}

func (n *Node) checkBooks() control.Check {
	if err := n.ledger.Healthy(); err != nil {
		return control.Check{Name: "books", Text: err.Error(), Fix: "free disk space or mend the disk, then restart the node"}
	}
	return control.Check{Name: "books", OK: true, Text: "the ledger takes writes"}
}

func (n *Node) checkClock() control.Check {
	if now := time.Now(); now.Unix() < tooEarly {
		return control.Check{Name: "clock", Text: "the clock says " + now.Format(time.RFC3339), Fix: "set the clock, or turn on NTP: quotes are good for 30 s"}
	}
	return control.Check{Name: "clock", OK: true, Text: time.Now().Format(time.RFC3339) + "; a provider refuses a clock that is more than 5 min off its own"}
}

func (n *Node) checkDisk() control.Check {
	m, err := device.ReadMachine(n.cfg.Dir)
	c := control.Check{Name: "disk", OK: true, Text: quantity.Human(m.DiskFree) + " free for " + n.cfg.Dir}
	if err == nil && m.DiskFree < lowDisk {
		c.OK, c.Fix = false, "free some space: inputs, outputs and the ledger live there"
	}
	return c
}

func (n *Node) checkNetwork() control.Check {
	c := control.Check{Name: "network", OK: !n.net.Alone() || n.cfg.Loopback, Text: fmt.Sprintf("%s; reach: %s", n.cfg.Network, n.reach())}
	for _, b := range n.net.Bootstrap() {
		if !b.Connected {
			c.OK, c.Text = false, unreached(b)
			c.Fix = "check the address and that a firewall lets TCP and UDP through"
		}
	}
	if !c.OK && c.Fix == "" {
		c.Fix = "name a node that is up with --bootstrap, or start another one on this local network"
	}
	return c
}

func (s *supply) check(ctx context.Context) []control.Check {
	return append(s.checkExecutors(ctx), s.checkDevices())
}

// checkDevices finds a device wrong that needs mending; one that is only in use is not.
func (s *supply) checkDevices() control.Check {
	misnamed := len(s.stock.inventory.Unmatched()) > 0
	c := control.Check{Name: "devices", OK: !s.stock.broken() && !misnamed, Text: deviceText(s.stock.free.Total().Devices) + "; " + hostText(s.machine)}
	if why := s.stock.lacking(); len(s.stock.inventory.Latest()) == 0 {
		c.Text = strings.Join(append([]string{c.Text}, why...), "; ")
	} else if len(why) > 0 {
		c.Text += "; not offered: " + strings.Join(why, "; ")
	}
	switch {
	case misnamed:
		c.Fix = "correct devices.reserve, or take from it what is not here any more; `souk devices` lists what is"
	case !c.OK:
		c.Fix = "do as the sentence says; `souk devices` shows when it is well"
	}
	return c
}

func hostText(m device.Machine) string {
	return fmt.Sprintf("%d cores (%s), %s of memory", m.CPUs, m.CPUModel, quantity.Human(m.Memory))
}
