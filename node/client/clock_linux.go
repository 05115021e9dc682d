package client

import (
	"time"

	"golang.org/x/sys/unix"
)

// awake is CLOCK_BOOTTIME; Go's monotonic clock stands still during a suspend.
func awake(mono func() time.Duration) func() time.Duration {
	return func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return mono()
		}
		return time.Duration(t.Nano())
	}
}
