package node

import (
	"context"
	"fmt"
	"strings"

	"souk/internal/quantity"
	"souk/node/client"
	"souk/node/control"
	"souk/node/device"
	"souk/node/jobfile"
	"souk/node/p2p"
	"souk/protocol/wire"
)

// Backend is the node as its commands see it. shutdown is called once when a
// command asks the node to end.
func (n *Node) Backend(shutdown func()) control.Backend { return &backend{n: n, shutdown: shutdown} }

type backend struct {
	n        *Node
	shutdown func()
}

func (b *backend) Shutdown(context.Context) error {
	b.shutdown()
	return nil
}

func (b *backend) Status(context.Context) (control.Status, error) {
	n := b.n
	s := control.Status{
		PID: pid(), Version: n.cfg.Version, Since: n.began, DataDir: n.cfg.Dir, Network: n.cfg.Network, Peer: n.ID().String(),
		Address: n.address(), Reach: n.reach(), Peers: len(n.net.Host().Network().Peers()), Jobs: n.client.Active(),
	}
	for _, a := range n.net.Addrs() {
		s.Addrs = append(s.Addrs, a.String())
	}
	for _, bs := range n.net.Bootstrap() {
		if !bs.Connected {
			s.Bootstrap = append(s.Bootstrap, unreached(bs))
		}
	}
	if p := n.Provider(); p != nil {
		s.Leases = p.Live()
		s.Providing = n.supply.describe()
	}
	return s, nil
}

func unreached(bs p2p.BootstrapState) string {
	if bs.LastError == nil {
		return fmt.Sprintf("bootstrap %s has not answered yet", bs.Addr)
	}
	return fmt.Sprintf("bootstrap %s can't be reached (%v); it is tried again", bs.Addr, bs.LastError)
}

// reach says whether others can reach this node, and what to do where not.
func (n *Node) reach() string {
	switch r := n.net.Reachability(); {
	case r.State == p2p.ReachLoopback:
		return "only from this machine (loopback)"
	case n.net.Twin() != "":
		return n.twin()
	case n.net.Alone():
		return "nobody can find this node: no bootstrap is connected and no other node is on the local network; name one with --bootstrap"
	case r.State == p2p.ReachPublic:
		return "from everywhere"
	case r.State == p2p.ReachPrivate:
		return "from the local network, and from elsewhere only through a relay; forward a port, or set listen to one that is open"
	default:
		return "not known yet: no other node has tried"
	}
}

// twin says that another node has this one's key, and what to do.
func (n *Node) twin() string {
	return fmt.Sprintf("another node with this node's key runs on the local network (%s), and others take the two for one: %s", n.net.Twin(), mendTwin)
}

const mendTwin = "stop one of them, or give it a data directory of its own with `souk --data-dir DIR init`"

func (s *supply) describe() *control.Supply {
	o := s.provider.Offer()
	return &control.Supply{
		Devices: deviceText(s.stock.free.Total().Devices), CPU: o.CPU, Memory: o.Memory, Disk: o.Disk, Executors: o.Executors, Lacking: s.lacking(), Speed: o.Speed,
		Region: o.Region, Asked: s.asked, PricePerHour: o.PricePerHour, Tick: o.Tick,
	}
}

func deviceText(devices []device.Device) string {
	var words []string
	for _, g := range device.Groups(devices) {
		words = append(words, fmt.Sprintf("%dx %s %s (%s)", g.Count, g.Model, quantity.Human(g.VRAM), g.Kind))
	}
	if len(words) == 0 {
		return "CPU only"
	}
	return strings.Join(words, ", ")
}

func (b *backend) Offers(ctx context.Context, need control.Need) ([]client.Candidate, error) {
	return b.n.client.Offers(ctx, need)
}

func (b *backend) Plan(ctx context.Context, spec jobfile.Spec) (client.Plan, error) {
	p, err := b.n.client.Plan(ctx, spec)
	if err == nil && len(p.Candidates) == 0 {
		p.Summary = b.n.nobody()
	}
	return p, err
}

// nobody says why no provider answered, as far as this node can know.
func (n *Node) nobody() string {
	said := fmt.Sprintf("no provider of the network %s answered", n.cfg.Network)
	for _, bs := range n.net.Bootstrap() {
		if !bs.Connected {
			return said + "; " + unreached(bs)
		}
	}
	alone := n.net.Alone() || len(n.net.Host().Network().Peers()) == 0
	switch {
	case alone && n.cfg.Loopback:
		return said + "; no other node is connected, and with --loopback only those on this machine can be: name one with --bootstrap"
	case n.net.Twin() != "" || n.net.Alone():
		return said + "; " + n.reach()
	case alone:
		return said + "; no other node is connected right now"
	}
	return said + ", though others are connected: is one running?"
}

func (b *backend) Submit(ctx context.Context, spec jobfile.Spec, planID string) (string, error) {
	return b.n.client.Submit(ctx, spec, planID)
}

func (b *backend) Jobs(ctx context.Context) ([]control.JobInfo, error) { return b.n.client.Jobs(ctx) }

func (b *backend) Job(ctx context.Context, id string) (control.JobInfo, error) {
	return b.n.client.Job(ctx, id)
}

func (b *backend) Watch(ctx context.Context, id string, logOffset uint64) (<-chan client.Event, error) {
	return b.n.client.Watch(ctx, id, logOffset)
}

func (b *backend) Cancel(ctx context.Context, id string) error { return b.n.client.Cancel(ctx, id) }

func (b *backend) Outputs(ctx context.Context, id, dir string) error {
	return b.n.client.Outputs(ctx, id, dir)
}

func noOffers() error {
	return wire.Refuse(wire.Unknown, "this node makes no offers").Near("`souk provide` starts one that does")
}
