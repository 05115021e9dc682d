package capacity

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/device"
)

// sharing is a machine whose devices two leases at a time may be on.
func sharing() Total {
	total := machine()
	total.Shares = 2
	return total
}

func TestASharedDeviceIsLeasedToAsManyAsItsOwnerSays(t *testing.T) {
	c, _ := open(t, sharing())
	need := needs(t, "A100-80GB")
	first, err := c.Reserve("first", need, time.Time{})
	require.NoError(t, err)
	require.Equal(t, Holding{DeviceIDs: []string{"big-0"}, Shared: true, CPU: 1, Memory: gib, Disk: gib}, first.Holding())
	second, err := c.Reserve("second", need, time.Time{})
	require.NoError(t, err)
	_, err = c.Reserve("third", need, time.Time{})
	require.EqualError(t, err, "devices (A100-80GB): 1 needed, 0 free of 1")
	require.Equal(t, []string{"first", "second"}, c.Holders("big-0"))
	first.Release()
	require.Len(t, c.Free().Devices, 3, "a share of it is free")
	second.Release()
	require.Equal(t, sharing(), c.Free())
}

func TestWhoAsksForADeviceAloneIsAloneOnIt(t *testing.T) {
	c, _ := open(t, sharing())
	alone := needs(t, "A100-40GB")
	alone.Exclusive = true
	shared := needs(t, "A100-40GB")

	one, err := c.Reserve("one", shared, time.Time{})
	require.NoError(t, err)
	two, err := c.Reserve("two", alone, time.Time{})
	require.NoError(t, err)
	require.NotEqual(t, one.Holding().DeviceIDs, two.Holding().DeviceIDs)
	require.False(t, two.Holding().Shared)
	_, err = c.Reserve("three", alone, time.Time{})
	require.ErrorAs(t, err, new(*Shortage), "one is leased whole, the other in part")
	four, err := c.Reserve("four", shared, time.Time{})
	require.NoError(t, err)
	require.Equal(t, one.Holding().DeviceIDs, four.Holding().DeviceIDs, "the one that is shared already")
	for _, r := range []*Reservation{one, two, four} {
		r.Release()
	}
	require.Equal(t, sharing(), c.Free())
}

// What was sold alone stays alone, whatever the owner sets afterwards.
func TestALeaseOfAWholeDeviceStaysSoWhenItsOwnerBeginsToShare(t *testing.T) {
	before, _ := open(t, machine())
	r, err := before.Reserve("lease", needs(t, "A100-80GB"), time.Time{})
	require.NoError(t, err)
	after, _ := open(t, sharing())
	_, err = after.Restore("lease", r.Holding())
	require.NoError(t, err)
	_, err = after.Reserve("another", needs(t, "A100-80GB"), time.Time{})
	require.ErrorAs(t, err, new(*Shortage))
}

func TestARemovedDeviceIsLeasedToNobodyUntilItReturns(t *testing.T) {
	c, _ := open(t, machine())
	running, err := c.Reserve("running", needs(t, "A100-80GB"), time.Time{})
	require.NoError(t, err)
	require.Equal(t, []string{"running"}, c.Remove("big-0"))
	require.Empty(t, c.Remove("small-0"))
	require.Empty(t, c.Remove("sold"))
	require.Equal(t, machine().Devices[2:], c.Total().Devices)
	_, err = c.Reserve("two", needs(t, "A100:2"), time.Time{})
	var short *Shortage
	require.ErrorAs(t, err, &short)
	require.True(t, short.Never(), "there is only one left: another provider has two")

	running.Release()
	require.Equal(t, machine().Devices[2:], c.Free().Devices, "what is given back of a removed device isn't free")
	require.Equal(t, 8, c.Free().CPU)
	require.NoError(t, c.Return(machine().Devices[0]))
	require.NoError(t, c.Return(machine().Devices[1]))
	require.Equal(t, machine(), c.Free())
}

func TestADeviceThatReturnsWhileItIsHeldStaysHeld(t *testing.T) {
	c, _ := open(t, machine())
	r, err := c.Reserve("lease", needs(t, "A100-80GB"), time.Time{})
	require.NoError(t, err)
	c.Remove("big-0")
	require.NoError(t, c.Return(machine().Devices[0]))
	require.Equal(t, machine().Devices[1:], c.Free().Devices)
	r.Release()
	require.Equal(t, machine(), c.Free())
}

func TestAQuoteOnADeviceThatVanishedCantBeAccepted(t *testing.T) {
	c, _ := open(t, machine())
	quoted, err := c.Reserve("quoted", needs(t, "A100-80GB"), noon.Add(time.Minute))
	require.NoError(t, err)
	leased, err := c.Reserve("leased", needs(t, "A100-40GB"), noon.Add(time.Minute))
	require.NoError(t, err)
	require.NoError(t, leased.Commit())
	c.Remove("big-0")
	c.Remove("small-0")
	require.ErrorIs(t, quoted.Commit(), ErrRemoved)
	require.NoError(t, leased.Commit(), "a lease is ended by whoever made it")
	require.Equal(t, 7, c.Free().CPU, "the quote holds nothing any more")
}

func TestANewInstanceOfAPartitionedGPUIsLeasedToo(t *testing.T) {
	c, _ := open(t, machine())
	slice := gpu("mig-0", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5*gib)
	require.NoError(t, c.Return(slice))
	require.NoError(t, c.Return(slice), "twice is once")
	require.Len(t, c.Total().Devices, 4)
	r, err := c.Reserve("lease", Need{Devices: device.Need{Slug: slice.Slug, Count: 1}}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []string{"mig-0"}, r.Holding().DeviceIDs)
	require.Error(t, c.Return(device.Device{Model: "nameless"}))
}

func TestADeviceThatIsGoneForARestartIsHeldAgain(t *testing.T) {
	c, _ := open(t, machine())
	c.Remove("big-0") // busy, with the very lease that comes back
	_, err := c.Restore("lease", Holding{DeviceIDs: []string{"big-0"}})
	require.NoError(t, err)
	require.Equal(t, []string{"lease"}, c.Holders("big-0"))
}

// Two leases at a time on each of 8 devices, while devices come and go.
func TestAThousandAtOnceShareNoDeviceTooOften(t *testing.T) {
	total := Total{CPU: 1000, Memory: 1000 * gib, Disk: 1000 * gib, Slots: 1000, Shares: 2}
	holders := map[string]*atomic.Int32{}
	for i := range 8 {
		id := fmt.Sprint(i)
		total.Devices = append(total.Devices, gpu(id, "RTX 4090", 24*gib))
		holders[id] = &atomic.Int32{}
	}
	c, err := New(total, time.Now)
	require.NoError(t, err)
	var wrong, won atomic.Int32
	need := needs(t, "RTX4090:2")
	var everyone sync.WaitGroup
	for i := range 1000 {
		everyone.Go(func() {
			need := need
			need.Exclusive = i%3 == 0
			if i%10 == 0 {
				c.Remove(fmt.Sprint(i / 10 % 8))
			}
			r, err := c.Reserve(fmt.Sprint("lease", i), need, time.Now().Add(time.Hour))
			if err == nil && r.Commit() == nil {
				won.Add(1)
				weight := int32(1)
				if need.Exclusive {
					weight = 2
				}
				for _, d := range r.Devices() {
					if holders[d.ID].Add(weight) > 2 {
						wrong.Add(1)
					}
				}
				for _, d := range r.Devices() {
					holders[d.ID].Add(-weight)
				}
				r.Release()
			}
			if i%10 == 0 {
				if c.Return(total.Devices[i/10%8]) != nil {
					wrong.Add(1)
				}
			}
		})
	}
	everyone.Wait()
	require.Zero(t, wrong.Load())
	require.Positive(t, won.Load())
	require.Equal(t, total, c.Free())
}
