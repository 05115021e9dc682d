package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"souk/node/executor/docker/egress/frame"
)

// A refusal is why a job gets no connection.
type refusal struct {
	status frame.Status
	err    error
}

func (e *refusal) Error() string { return e.status.String() + ": " + e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// connect looks t up and dials the first of its addresses that may be dialled
// and answers, within dialTimeout. Its error is a *refusal.
func (g *Gate) connect(ctx context.Context, t Target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// The final dot keeps this machine's search domains out of it.
	addrs, err := g.cfg.Resolver.LookupNetIP(ctx, "ip", t.Host+".")
	if err == nil && len(addrs) == 0 {
		err = errors.New("no address")
	}
	if err != nil {
		return nil, &refusal{frame.Unknown, err}
	}
	allowed, err := g.judge(addrs)
	if len(allowed) == 0 {
		return nil, &refusal{frame.Forbidden, err}
	}
	var failed error
	for _, a := range allowed {
		conn, err := g.dial(ctx, netip.AddrPortFrom(a, t.Port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, &refusal{frame.Unreachable, failed}
}

// judge keeps the addresses that may be dialled, and says what is wrong with
// the others.
func (g *Gate) judge(addrs []netip.Addr) (allowed []netip.Addr, refused error) {
	for i, a := range addrs {
		if i == maxAddresses {
			break
		}
		a = a.Unmap()
		if err := g.policy.check(a); err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		allowed = append(allowed, a)
	}
	return allowed, refused
}

func (g *Gate) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	conn, err := g.cfg.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(to.Addr().String(), strconv.Itoa(int(to.Port()))))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", to, err)
	}
	return conn, nil
}
