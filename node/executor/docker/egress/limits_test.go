package egress

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"souk/internal/limit/limittest"
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

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"finding and reaching a place that a job connects to":    reaching(func(wait time.Duration) slow { return slow{finds: wait} }),
		"reaching one address of a place that a job connects to": reaching(func(wait time.Duration) slow { return slow{dials: wait} }),
	})
}
