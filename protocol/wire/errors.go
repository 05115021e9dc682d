package wire

import (
	"errors"
	"fmt"
	"time"
)

// ErrMalformed is what a peer sent that no correct implementation sends:
// a frame over its cap, bytes that don't parse, a message out of turn. The
// dispatcher counts these and blocks a peer that keeps sending them.
var ErrMalformed = errors.New("malformed message")

// ErrTooLarge is a frame over its cap; it is malformed too.
var ErrTooLarge = fmt.Errorf("frame over its cap: %w", ErrMalformed)

// ErrSlow is a peer that let a deadline pass. The stream is reset.
var ErrSlow = errors.New("the peer was too slow")

// BlockError makes the dispatcher refuse the peer for a while.
type BlockError struct {
	For    time.Duration
	Reason error
}

func (e *BlockError) Error() string { return fmt.Sprintf("peer blocked for %s: %v", e.For, e.Reason) }
func (e *BlockError) Unwrap() error { return e.Reason }

// Malformed says what was wrong with what a peer sent.
func Malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
