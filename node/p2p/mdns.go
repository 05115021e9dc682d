package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/zeroconf/v2"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	mdnsDomain = "local"
	mdnsPort   = 4001 // something has to be named; the ports are in the addresses
	mdnsAddr   = "dnsaddr="
	// browseFor is how long one look around lasts. Within it each process is
	// heard of once, so this also bounds how late a lost one is dialled again.
	browseFor = 30 * time.Second
	twinFor   = 3 * browseFor // how long a twin is believed to be there
)

// mdnsService is the service's name on the local network. The public network
// has the plain one, and the others one of their own, so that they don't mix.
func mdnsService(network string) string {
	if network == "souk" {
		return "_souk._udp"
	}
	return "_souk-" + network + "._udp"
}

// mdns makes a process known on the local network, in the way of libp2p's own
// mDNS discovery, and hears of the others. libp2p's tells of a process once an
// hour, never that one has this node's key, and looks at the interfaces only
// at its start.
type mdns struct {
	service  string
	instance string // this process's name
	own      peer.ID
	addrs    func() ([]ma.Multiaddr, error)
	heard    func(peer.AddrInfo) // must not block
	log      *slog.Logger
}

func newMDNS(network string, own peer.ID, addrs func() ([]ma.Multiaddr, error), heard func(peer.AddrInfo), log *slog.Logger) *mdns {
	return &mdns{service: mdnsService(network), instance: strings.ToLower(rand.Text()), own: own, addrs: addrs, heard: heard, log: log}
}

// run works until ctx ends. That it can't (no multicast here) is worth a
// warning, no more: bootstraps may do.
func (m *mdns) run(ctx context.Context) {
	var server *zeroconf.Server
	var told []string
	warned := false
	for ctx.Err() == nil {
		began := time.Now()
		if texts := m.texts(); server == nil || !slices.Equal(texts, told) {
			end(server)
			server, told = m.announce(texts), texts
		}
		if err := m.browse(ctx); err != nil && !warned {
			m.log.Warn("no discovery on the local network", "reason", err)
			warned = true
		}
		sleep(ctx, browseFor-time.Since(began)) // where browsing failed
	}
	end(server)
}

func end(s *zeroconf.Server) {
	if s != nil {
		s.Shutdown()
	}
}

// texts are this node's addresses as it tells them, as many as readers keep.
func (m *mdns) texts() (texts []string) {
	addrs, err := m.addrs()
	if err != nil {
		return nil
	}
	full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: m.own, Addrs: addrs})
	if err != nil {
		return nil
	}
	for _, a := range outerFirst(full) {
		if len(texts) < MaxPeerAddrs && !isRelay(a) && !manet.IsIPLoopback(a) {
			texts = append(texts, mdnsAddr+a.String())
		}
	}
	return texts
}

// announce answers who asks; nil where it can't.
func (m *mdns) announce(texts []string) *zeroconf.Server {
	var ips []string
	for _, t := range texts {
		if a, err := ma.NewMultiaddr(strings.TrimPrefix(t, mdnsAddr)); err == nil && len(ips) == 0 {
			ips = append(ips, hostOf(a))
		}
	}
	if len(ips) == 0 {
		return nil // nowhere to be reached
	}
	s, err := zeroconf.RegisterProxy(m.instance, m.service, mdnsDomain, mdnsPort, m.instance, ips, texts, nil)
	if err != nil {
		m.log.Warn("this node can't make itself known on the local network", "reason", err)
		return nil
	}
	return s
}

// browse looks around once, by IPv4 and IPv6, or by the one that there is.
func (m *mdns) browse(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, browseFor)
	defer cancel()
	var errs []error
	for _, family := range []zeroconf.IPType{zeroconf.IPv4AndIPv6, zeroconf.IPv4, zeroconf.IPv6} {
		err := m.listen(ctx, family)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (m *mdns) listen(ctx context.Context, family zeroconf.IPType) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	entries, failed := make(chan *zeroconf.ServiceEntry, maxLocalDials), make(chan error, 1)
	go func() {
		failed <- zeroconf.Browse(ctx, m.service, mdnsDomain, entries, zeroconf.SelectIPTraffic(family))
	}()
	for {
		select {
		case e, ok := <-entries:
			if !ok {
				return <-failed
			}
			m.read(e)
		case err := <-failed:
			return err
		}
	}
}

// read passes on what another process says of itself.
func (m *mdns) read(e *zeroconf.ServiceEntry) {
	if e.Instance == m.instance {
		return
	}
	var addrs []ma.Multiaddr
	for _, t := range e.Text {
		if text, ok := strings.CutPrefix(t, mdnsAddr); ok && len(addrs) < MaxPeerAddrs {
			if a, err := ma.NewMultiaddr(text); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		m.log.Debug("a process on the local network says what is no address", "err", err)
		return
	}
	for _, info := range infos {
		m.heard(info)
	}
}
