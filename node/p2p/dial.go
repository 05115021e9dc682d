package p2p

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

// forgetBackoff makes libp2p dial a peer now that it failed to reach lately;
// whoever calls it does its own waiting.
func forgetBackoff(h host.Host, id peer.ID) {
	if s, ok := h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(id)
	}
}

// dialReason makes one short sentence of libp2p's report on every address.
func dialReason(err error) error {
	var dial *swarm.DialError
	if !errors.As(err, &dial) {
		return reason(err)
	}
	if len(dial.DialErrors) > 0 {
		return reason(dial.DialErrors[0].Cause)
	}
	return reason(dial.Cause)
}

func reason(err error) error {
	var other sec.ErrPeerIDMismatch
	if errors.As(err, &other) {
		return fmt.Errorf("another node answers there: %s instead of %s", other.Actual, other.Expected)
	}
	for _, known := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, known) {
			return known
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", ConnectTimeout, context.DeadlineExceeded)
	}
	return err
}
