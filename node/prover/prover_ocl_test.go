//go:build opencltest

package prover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/capacity"
	"souk/node/device"
	"souk/node/device/opencl"
	"souk/node/prover"
	"souk/protocol/challenge"
)

// TestAnOpenCLDeviceStandsARealChallenge takes the first OpenCL device of this
// machine, of whatever type, with deadlines that a busy machine keeps.
func TestAnOpenCLDeviceStandsARealChallenge(t *testing.T) {
	source := opencl.Source{CPU: true}
	found, err := device.Detect(t.Context(), source)
	require.NoError(t, err)
	require.NotEmpty(t, found, "this machine has no OpenCL device; Debian's pocl-opencl-icd brings one")
	own, err := capacity.New(capacity.Total{Devices: found[:1], CPU: 1, Memory: 1 << 20, Disk: 1 << 20, Slots: 1}, time.Now)
	require.NoError(t, err)
	w := newWorld(t, func(c *prover.Config) {
		c.Capacity = own
		c.Open = source.Open
	})
	c := challenge.Claim{Slug: found[0].Slug, Count: 1, Blocks: 16 << 20 / challenge.BlockBytes}
	v, err := challenge.Ask(t.Context(), w.client(t), "test", w.id, c, challenge.Options{Work: time.Second, Share: 0.05, Slack: 20 * time.Second})
	require.NoError(t, err)
	require.Empty(t, v.Caught, v.Sentence)
	require.Positive(t, v.All)
	t.Log(v.Sentence, "at most", v.StepNanos, "ns a step")
	require.Eventually(t, func() bool { return len(own.Free().Devices) == 1 }, time.Minute, time.Millisecond)
}
