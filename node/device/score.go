package device

import (
	"context"
	"fmt"
	"time"
)

// tries is how often the loop is run: the fastest counts, because whatever else
// the machine does can only slow a run down.
const tries = 3

// Run runs a module's _start to its end and returns how long guest code ran,
// compiling and starting up left aside.
type Run func(ctx context.Context, module []byte) (time.Duration, error)

// Score is the machine's speed: rounds of the fixed Loop per second on one
// core, rounded down, at least 1. It takes about half a second.
func Score(ctx context.Context, run Run) (uint64, error) {
	best := time.Duration(0)
	for range tries {
		took, err := run(ctx, Loop())
		if err != nil {
			return 0, fmt.Errorf("measuring this machine's speed: %w", err)
		}
		if took <= 0 {
			return 0, fmt.Errorf("measuring this machine's speed: the loop took %v, a clock that stands still", took)
		}
		if best == 0 || took < best {
			best = took
		}
	}
	return max(1, uint64(Loops*time.Second/best)), nil
}
