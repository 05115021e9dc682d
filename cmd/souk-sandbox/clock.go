//go:build linux

package main

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
)

const (
	fixedEpoch = 1_640_995_200 // 2022-01-01T00:00:00Z, in Unix seconds
	clockStep  = 1_000         // ns that pass when the guest looks at the clock
	clockEnd   = 1 << 62       // ns; the clock stands still here rather than overflow
)

// The seed of a deterministic guest's randomness, 32 bytes for ChaCha8.
const fixedSeed = "souk deterministic randomness v1"

// virtualClock passes when it is looked at and when the guest sleeps, so a
// guest that waits for time neither stalls nor spins, and sees the same times
// on every machine.
type virtualClock struct{ ns int64 }

func (c *virtualClock) pass(ns int64) int64 {
	if ns > 0 {
		c.ns = min(c.ns, clockEnd-min(ns, clockEnd)) + min(ns, clockEnd)
	}
	return c.ns
}

func (c *virtualClock) wall() (int64, int32) {
	ns := c.pass(clockStep)
	return fixedEpoch + ns/int64(time.Second), int32(ns % int64(time.Second))
}

func (c *virtualClock) nano() int64    { return c.pass(clockStep) }
func (c *virtualClock) sleep(ns int64) { c.pass(ns) }

func fixedTime(config wazero.ModuleConfig) wazero.ModuleConfig {
	clock := &virtualClock{}
	return config.
		WithWalltime(clock.wall, sys.ClockResolution(clockStep)).
		WithNanotime(clock.nano, sys.ClockResolution(clockStep)).
		WithNanosleep(clock.sleep).
		WithRandSource(mathrand.NewChaCha8([32]byte([]byte(fixedSeed))))
}

func realTime(config wazero.ModuleConfig) wazero.ModuleConfig {
	return config.WithSysWalltime().WithSysNanotime().WithSysNanosleep().WithRandSource(rand.Reader)
}
