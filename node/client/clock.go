package client

import "time"

// Clock tells the time.
type Clock struct {
	Now  func() time.Time     // wall clock
	Mono func() time.Duration // since some moment; never jumps
	// Awake is like Mono, and counts the time that the machine slept through;
	// nil: Mono. Providers don't sleep when this machine does.
	Awake func() time.Duration
}

// SystemClock is the machine's.
func SystemClock() Clock {
	start := time.Now()
	mono := func() time.Duration { return time.Since(start) }
	return Clock{Now: time.Now, Mono: mono, Awake: awake(mono)}
}
