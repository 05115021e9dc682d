package egress

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/executor/docker/egress/frame"
)

// slow answers as a resolver and as a dialer after so long.
type slow struct{ finds, dials time.Duration }

func (s slow) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, after(ctx, s.finds)
}

func (s slow) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	here, _ := net.Pipe()
	return here, after(ctx, s.dials)
}

func after(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reaching connects to a place in the public internet that is slow.
func reaching(slowly func(wait time.Duration) slow) limittest.Probe {
	return func(t *testing.T, n int64) (err error) {
		synctest.Test(t, func(t *testing.T) {
			s := slowly(limittest.Wait(n))
			g := &Gate{cfg: Config{Resolver: s, Dialer: s}, policy: anywhere()}
			_, err = g.connect(t.Context(), Target{Host: "example.com", Port: 443})
		})
		return err
	}
}

// idle is a session of a gate with nothing configured, that accepts nobody.
func idle(t *testing.T) *session {
	w := newWorld()
	return w.gate(t).newSession("job1", []Target{{"example.com", 443}}, nil)
}

// dated is a connection that keeps the deadline it was given.
type dated struct {
	net.Conn
	until time.Time
}

func (d *dated) SetDeadline(until time.Time) error { d.until = until; return nil }

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"connections of a job at once": func(t *testing.T, n int64) error {
			w := newWorld()
			w.serve(t, "example.com", "93.184.216.34:443", echo)
			wiring := open(t, w.gate(t, func(c *Config) { c.Limits.PerSecond = int(2 * n) }), "job1", "example.com:443")
			for range n - 1 {
				connected(t, wiring, 0)
			}
			c := raw(t, wiring)
			frame.WriteHeader(c, 0) //nolint:errcheck // a refused one is closed before it is read
			status, err := frame.ReadStatus(c)
			require.NoError(t, err)
			return limittest.Refused(status == frame.Connected)
		},
		"new connections of a job in a second": func(t *testing.T, n int64) error {
			opening, now := idle(t).opening, time.Now()
			require.True(t, opening.AllowN(now, opening.Burst()))
			return limittest.Refused(opening.AllowN(now.Add(time.Second), int(n)))
		},
		"new connections of a job together, without a wait": func(t *testing.T, n int64) error {
			return limittest.Refused(idle(t).opening.AllowN(time.Now(), int(n)))
		},
		"silence on a connection of a job": func(t *testing.T, n int64) (err error) {
			s := idle(t)
			synctest.Test(t, func(*testing.T) {
				far := &dated{}
				newPassage(s, &s.counters[0], &net.UnixConn{}, far).touch() //nolint:errcheck // the job's end is closed already
				err = limittest.Refused(time.Now().Add(limittest.Wait(n)).Before(far.until))
			})
			return err
		},
		"saying which place a connection of a job is to": func(t *testing.T, n int64) (err error) {
			s := idle(t)
			synctest.Test(t, func(*testing.T) {
				here, there := net.Pipe()
				defer there.Close()
				said := time.AfterFunc(limittest.Wait(n), func() { frame.WriteHeader(there, 0) }) //nolint:errcheck // the probe sees it
				defer said.Stop()
				_, err = s.hear(here)
				here.Close()
			})
			return err
		},
		"name of a place that a job connects to": func(_ *testing.T, n int64) error {
			label := strings.Repeat("a", 63) + "."
			_, err := Parse([]string{strings.Repeat(label, 4)[:n-2] + ".b:443"})
			return err
		},
		"addresses of a place that are tried": func(t *testing.T, n int64) error {
			var addrs []netip.Addr
			for i := range n {
				addrs = append(addrs, netip.AddrFrom4([4]byte{93, 184, 216, byte(i)}))
			}
			allowed, err := idle(t).gate.judge(addrs)
			require.NoError(t, err)
			return limittest.Refused(len(allowed) == int(n))
		},
		"finding and reaching a place that a job connects to":    reaching(func(wait time.Duration) slow { return slow{finds: wait} }),
		"reaching one address of a place that a job connects to": reaching(func(wait time.Duration) slow { return slow{dials: wait} }),
	})
}
