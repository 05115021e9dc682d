package control

import (
	"context"
	"time"
)

// NewIdle is WaitIdle of a server that nobody asks.
func NewIdle() func(ctx context.Context, active func() int, quiet time.Duration) error {
	return (&activity{latest: time.Now()}).wait
}
