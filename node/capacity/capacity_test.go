package capacity

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/device"
)

const gib = int64(1) << 30

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only the test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func gpu(id, model string, vram int64) device.Device {
	return device.Device{ID: id, Model: model, Slug: device.Slug(model), VRAM: vram, Kind: device.Claimed}
}

func machine() Total {
	return Total{
		Devices: []device.Device{
			gpu("big-0", "A100 80GB", 80*gib), gpu("small-0", "A100 40GB", 40*gib), gpu("small-1", "A100 40GB", 40*gib),
		},
		CPU: 8, Memory: 32 * gib, Disk: 100 * gib, Slots: 4,
	}
}

func open(t *testing.T, total Total) (*Capacity, *clock) {
	t.Helper()
	c := &clock{now: noon}
	capacity, err := New(total, c.Now)
	require.NoError(t, err)
	return capacity, c
}

func needs(t *testing.T, gpu string) Need {
	t.Helper()
	devices, err := device.ParseNeed(gpu)
	require.NoError(t, err)
	return Need{Devices: devices, CPU: 1, Memory: gib, Disk: gib}
}

func TestReserveTakesAndReleaseGivesBackOnce(t *testing.T) {
	c, _ := open(t, machine())
	r, err := c.Reserve("lease", needs(t, "A100:2"), time.Time{})
	require.NoError(t, err)
	require.Equal(t, []string{"small-0", "small-1"}, r.Holding().DeviceIDs, "the large one stays free")
	require.Equal(t, Total{Devices: machine().Devices[:1], CPU: 7, Memory: 31 * gib, Disk: 99 * gib, Slots: 3}, c.Free())

	other, err := c.Reserve("other", needs(t, "A100-80GB"), time.Time{})
	require.NoError(t, err)
	r.Release()
	r.Release()
	require.Equal(t, 7, c.Free().CPU)
	require.ErrorIs(t, r.Commit(), ErrReleased)
	other.Release()
	require.Equal(t, machine(), c.Free())
}

func TestAQuoteHoldExpiresUnlessCommitted(t *testing.T) {
	c, clock := open(t, machine())
	kept, err := c.Reserve("kept", needs(t, "A100:2"), noon.Add(30*time.Second))
	require.NoError(t, err)
	late, err := c.Reserve("late", needs(t, "A100-80GB"), noon.Add(30*time.Second))
	require.NoError(t, err)
	clock.now = noon.Add(30*time.Second - 1)
	require.NoError(t, kept.Commit())
	require.Empty(t, c.Free().Devices)

	clock.now = noon.Add(30 * time.Second)
	require.Equal(t, machine().Devices[:1], c.Free().Devices)
	again, err := c.Reserve("late", needs(t, "A100-80GB"), time.Time{})
	require.NoError(t, err)
	require.ErrorIs(t, late.Commit(), ErrExpired)
	late.Release() // must not take the device from its new holder
	require.Empty(t, c.Free().Devices)
	require.NoError(t, kept.Commit())
	again.Release()
	kept.Release()
	require.Equal(t, machine(), c.Free())
}

func TestShortageNamesEachMiss(t *testing.T) {
	c, _ := open(t, machine())
	_, err := c.Reserve("first", needs(t, "A100-40GB"), time.Time{})
	require.NoError(t, err)
	for name, row := range map[string]struct {
		need  Need
		text  string
		never bool
	}{
		"two devices": {needs(t, "A100-40GB:2"), "devices (A100-40GB:2): 2 needed, 1 free of 2", false},
		"three":       {needs(t, "A100-40GB:3"), "devices (A100-40GB:3): 3 needed, 1 free of 2", true},
		"unlike ones": {needs(t, "A100:2"), "devices (A100:2): 2 needed, 1 free of 2", false},
		"other model": {needs(t, "RTX4090"), "devices (RTX4090): 1 needed, 0 free of 0", true},
		"more memory on it": {Need{Devices: device.Need{Count: 1, VRAM: 96 * gib}},
			"devices (any with 96GiB): 1 needed, 0 free of 0", true},
		"all at once": {Need{CPU: 8, Memory: 33 * gib, Disk: math.MaxInt64},
			"cores: 8 needed, 7 free of 8; memory: 33GiB needed, 31GiB free of 32GiB; disk: 7.9EiB needed, 99GiB free of 100GiB", true},
		"by one byte": {Need{Memory: 31*gib + 1}, "memory: 33285996545 needed, 31GiB free of 32GiB", false},
	} {
		_, err := c.Reserve("more", row.need, time.Time{})
		var shortage *Shortage
		require.ErrorAs(t, err, &shortage, name)
		require.Equal(t, row.text, err.Error(), name)
		require.Equal(t, row.never, shortage.Never(), name)
	}
	for i := range 3 {
		_, err := c.Reserve(fmt.Sprint(i), Need{}, time.Time{})
		require.NoError(t, err)
	}
	_, err = c.Reserve("fifth", Need{}, time.Time{})
	require.EqualError(t, err, "slots for executions: 1 needed, 0 free of 4")
}

func TestASimulatedDeviceIsHeldOnlyForWhoAllowsIt(t *testing.T) {
	total := machine()
	for i := range total.Devices {
		total.Devices[i].Kind = device.Simulated
	}
	c, _ := open(t, total)
	_, err := c.Reserve("strict", needs(t, "any"), time.Time{})
	require.ErrorAs(t, err, new(*Shortage))
	lax := needs(t, "any")
	lax.Devices.AllowSimulated = true
	_, err = c.Reserve("lax", lax, time.Time{})
	require.NoError(t, err)
}

func TestRestoreHoldsTheSameDevicesAgain(t *testing.T) {
	before, _ := open(t, machine())
	_, err := before.Reserve("other", needs(t, "A100-40GB"), time.Time{})
	require.NoError(t, err)
	r, err := before.Reserve("lease", needs(t, "A100-40GB"), time.Time{})
	require.NoError(t, err)

	after, clock := open(t, machine())
	restored, err := after.Restore("lease", r.Holding())
	require.NoError(t, err)
	require.Equal(t, []string{"small-1"}, restored.Holding().DeviceIDs)
	require.Equal(t, r.Holding(), restored.Holding())
	clock.now = noon.Add(time.Hour)
	_, err = after.Restore("lease", Holding{})
	require.ErrorIs(t, err, ErrDuplicate)
	_, err = after.Restore("twin", r.Holding())
	require.EqualError(t, err, "devices (small-1): 1 needed, 0 free of 1")
	_, err = after.Restore("gone", Holding{DeviceIDs: []string{"big-0", "sold"}})
	require.EqualError(t, err, "devices (sold): 1 needed, 0 free of 0")
	_, err = after.Restore("twice", Holding{DeviceIDs: []string{"big-0", "big-0"}})
	require.ErrorAs(t, err, new(*Shortage))
	require.Len(t, after.Free().Devices, 2, "a failed Restore holds nothing")
}

func TestNonsenseIsRefused(t *testing.T) {
	c, _ := open(t, machine())
	for _, need := range []Need{{CPU: -1}, {Memory: -1}, {Disk: math.MinInt64}, {Devices: device.Need{Count: -1}}} {
		_, err := c.Reserve("x", need, time.Time{})
		require.ErrorIs(t, err, ErrInvalid)
	}
	_, err := c.Reserve("", Need{}, time.Time{})
	require.ErrorIs(t, err, ErrInvalid)
	_, err = c.Restore("x", Holding{CPU: -1})
	require.ErrorIs(t, err, ErrInvalid)
	_, err = New(Total{CPU: -1}, time.Now)
	require.Error(t, err)
	_, err = New(Total{Devices: []device.Device{gpu("a", "T4", 1), gpu("a", "T4", 1)}}, time.Now)
	require.Error(t, err)
	require.Equal(t, machine(), c.Free())
}

func TestAThousandAtOnceNeverShareADevice(t *testing.T) {
	total := Total{CPU: 1000, Memory: 1000 * gib, Disk: 1000 * gib, Slots: 1000}
	for i := range 16 {
		total.Devices = append(total.Devices, gpu(fmt.Sprint(i), "RTX 4090", 24*gib))
	}
	c, err := New(total, time.Now)
	require.NoError(t, err)
	holders := make([]atomic.Int32, len(total.Devices))
	var won, double atomic.Int32
	need := needs(t, "RTX4090:2")
	var everyone sync.WaitGroup
	for i := range 1000 {
		everyone.Go(func() {
			r, err := c.Reserve(fmt.Sprint("lease", i), need, time.Time{})
			if err != nil {
				return
			}
			won.Add(1)
			for _, d := range r.Devices() {
				at, err := strconv.Atoi(d.ID)
				if err != nil || holders[at].Add(1) != 1 {
					double.Add(1)
				}
				defer holders[at].Add(-1)
			}
			if r.Commit() != nil {
				double.Add(1)
			}
			defer r.Release()
		})
	}
	everyone.Wait()
	require.Zero(t, double.Load())
	require.GreaterOrEqual(t, won.Load(), int32(8))
	require.Equal(t, total, c.Free())
}
