package p2p

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
)

// managed is a resource manager with souk's limits.
func managed(t *testing.T) network.ResourceManager {
	r := newRegulars()
	r.Add(regular(0), dealing{pays: true})
	m, err := newResourceManager(r)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// opened opens a stream of a protocol as libp2p and wire's dispatcher do.
func opened(m network.ResourceManager, p peer.ID, id protocol.ID) (network.StreamScope, error) {
	s, err := m.OpenStream(p, network.DirInbound)
	if err == nil {
		err = s.SetProtocol(id)
	}
	if err == nil {
		err = s.SetService(string(id))
	}
	return s, err
}

// streams opens n of them, each of the peer that from gives.
func streams(id func(i int) protocol.ID, from func(i int) peer.ID) limittest.Probe {
	return func(t *testing.T, n int64) error {
		m := managed(t)
		for i := range int(n) {
			if _, err := opened(m, from(i), id(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// unnamed opens n streams of as many peers that name no protocol.
func unnamed(t *testing.T, n int64) error {
	m := managed(t)
	for i := range int(n) {
		if _, err := m.OpenStream(many(i), network.DirInbound); err != nil {
			return err
		}
	}
	return nil
}

// memory reserves n bytes for streams, so much for each: libp2p gives one
// stream no more than 16 MiB.
func memory(id func(i int) protocol.ID, from func(i int) peer.ID, each int64) limittest.Probe {
	return func(t *testing.T, n int64) error {
		m := managed(t)
		for i := 0; n > 0; i++ {
			s, err := opened(m, from(i), id(i))
			require.NoError(t, err)
			part := min(n, each)
			if err := s.ReserveMemory(int(part), network.ReservationPriorityAlways); err != nil {
				return err
			}
			n -= part
		}
		return nil
	}
}

func connections(from func(i int) peer.ID) limittest.Probe {
	return func(t *testing.T, n int64) error {
		m := managed(t)
		for i := range int(n) {
			at := ma.StringCast(fmt.Sprintf("/ip4/%d.%d.1.1/udp/1/quic-v1", 20+i/200, i%200)) // from everywhere: libp2p limits those from one place too
			c, err := m.OpenConnection(network.DirInbound, false, at)
			if err != nil {
				return err
			}
			if err := c.SetPeer(from(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

func one(int) peer.ID     { return "one" }
func regular(int) peer.ID { return "regular" }
func many(i int) peer.ID  { return peer.ID(fmt.Sprint(i)) }

// foreign is another protocol each time: souk's own reach their limits before.
func foreign(i int) protocol.ID { return protocol.ID(fmt.Sprint("/other/", i%200)) }

func addresses(n int64) (all []ma.Multiaddr) {
	for i := range n {
		all = append(all, ma.StringCast(fmt.Sprintf("/ip4/20.0.0.1/tcp/%d", i+1)))
	}
	return all
}

func TestLimits(t *testing.T) {
	probes := map[string]limittest.Probe{
		"streams of a peer, each way":                              streams(foreign, one),
		"memory of a peer's streams":                               memory(foreign, one, 4<<20),
		"streams of a peer that has paid, and to one that is paid": streams(foreign, regular),
		"memory of such a peer's streams":                          memory(foreign, regular, 4<<20),
		"such peers at once": func(_ *testing.T, n int64) error {
			r := newRegulars()
			for i := range int(n) {
				r.Add(many(i), dealing{pays: true})
			}
			return limittest.Refused(r.Len() == int(n))
		},
		"streams in all that name no protocol, each way":            unnamed,
		"incoming streams in all of one protocol that isn't souk's": streams(func(int) protocol.ID { return "/souk/test/kad/1.0.0" }, many),
		"connections of a peer":                                     connections(one),
		"streams in all, each way":                                  streams(foreign, many),
		"memory of all streams and connections":                     memory(foreign, many, 4<<20),
		"connections in all":                                        connections(many),
		"peers that are refused at once": func(_ *testing.T, n int64) error {
			g := newGater(false, time.Now)
			for i := range int(n) {
				g.block(many(i), time.Hour)
			}
			return limittest.Refused(len(g.blocked) == int(n))
		},
		"peers that one search yields": func(t *testing.T, n int64) error {
			s := newSearch(nil, nil, int(n))
			taken := 0
			for i := range 2 * int(n) {
				if yield, _ := s.take(many(i)); yield {
					taken++
				}
			}
			return limittest.Refused(taken == int(n))
		},
		"addresses kept of a peer": func(_ *testing.T, n int64) error {
			kept := addrFilter(false, func() ([]ma.Multiaddr, error) { return nil, nil })(addresses(n))
			return limittest.Refused(len(kept) == int(n))
		},
		"addresses that a node announces": func(_ *testing.T, n int64) error {
			return limittest.Refused(len(announced(addresses(n), nil)) == int(n))
		},
	}
	for _, s := range serviceLimits() {
		name := string(s.protocol)[len("/souk/") : len(s.protocol)-len("/1.0.0")]
		id := func(int) protocol.ID { return s.protocol }
		probes[name+" streams of a peer"] = streams(id, regular)
		probes[name+" streams in all"] = streams(id, many)
		probes["memory of a peer's "+name+" streams"] = memory(id, regular, 4<<20)
		probes["memory of all "+name+" streams"] = memory(id, many, 1<<20)
	}
	limittest.Run(t, LimitRows(), probes)
}
