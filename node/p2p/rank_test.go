package p2p

import (
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

func TestTCPIsDialledBeforeQUIC(t *testing.T) {
	const (
		tcp   = "/ip4/1.2.3.4/tcp/4001"
		quic  = "/ip4/1.2.3.4/udp/4001/quic-v1"
		local = "/ip4/127.0.0.1/tcp/4001"
		near  = "/ip4/127.0.0.1/udp/4001/quic-v1"
		relay = "/ip4/5.6.7.8/tcp/4001/p2p/12D3KooWMLsgMTs7XHkzyYMhYNQjA6YBoaZ7S5AVkKP1nDD5q8AG/p2p-circuit"
	)
	for name, c := range map[string]struct {
		addrs []string
		want  map[string]time.Duration
	}{
		"public":      {[]string{quic, tcp}, map[string]time.Duration{tcp: 0, quic: tcpHead}},
		"loopback":    {[]string{near, local}, map[string]time.Duration{local: 0, near: tcpHead}},
		"QUIC alone":  {[]string{quic}, map[string]time.Duration{quic: 0}},
		"TCP alone":   {[]string{tcp}, map[string]time.Duration{tcp: 0}},
		"relay alone": {[]string{relay}, map[string]time.Duration{relay: 0}},
		"with relay":  {[]string{relay, tcp}, map[string]time.Duration{tcp: 0, relay: tcpHead}},
	} {
		t.Run(name, func(t *testing.T) {
			var addrs []ma.Multiaddr
			for _, a := range c.addrs {
				addrs = append(addrs, ma.StringCast(a))
			}
			got := map[string]time.Duration{}
			for _, d := range rankDials(addrs) {
				got[d.Addr.String()] = d.Delay
			}
			require.Equal(t, c.want, got)
		})
	}
}
