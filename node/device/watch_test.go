package device

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// changes are what the next look tells, a word each.
func changes(t *testing.T, v *Inventory) (out []string) {
	t.Helper()
	found, _ := v.Check(t.Context())
	for _, c := range found {
		if c.What != Back {
			require.NotEmpty(t, c.Why)
		}
		out = append(out, fmt.Sprintf("%s %s", c.Device.ID[len(c.Device.ID)-1:], c.What))
	}
	return out
}

func watched(t *testing.T) (*Inventory, *driver) {
	source := &driver{name: "nvml", devices: []Device{real(t, 0), real(t, 1)}, use: map[string]Use{}}
	v := stock(t, Options{Hold: true}, source)
	require.Equal(t, []string{"0 back", "1 back"}, changes(t, v))
	require.Empty(t, changes(t, v))
	return v, source
}

func TestADeviceThatFallsOffTheBusIsGoneAtTheSecondLook(t *testing.T) {
	v, source := watched(t)
	all := source.devices
	source.devices = all[:1]
	require.Equal(t, []string{"1 out"}, changes(t, v), "nothing new is leased on it")
	require.Equal(t, []string{"1 gone"}, changes(t, v))
	require.Empty(t, changes(t, v))
	require.NoError(t, checkDevice(all[1].ID), "and another process may have it")
	source.devices = all
	require.Equal(t, []string{"1 back"}, changes(t, v))
}

func TestWhatIsWrongWithADeviceIsSaidToWhoAsks(t *testing.T) {
	v, source := watched(t)
	first, second := source.devices[0].ID, source.devices[1].ID
	require.Empty(t, v.Fault([]string{first, second, "unknown"}))
	source.use[first] = Use{Memory: 20 * gib} // in use by others is no fault
	source.devices = source.devices[:1]
	require.Equal(t, []string{"0 out", "1 out"}, changes(t, v))
	require.Empty(t, v.Fault([]string{first}))
	require.Equal(t, "NVIDIA GeForce RTX 4090 ("+second+"): its driver doesn't list it", v.Fault([]string{first, second}))
	source.devices[0].Obstacles = []Obstacle{{Faulty, "the driver reported XID 79"}}
	changes(t, v)
	require.Equal(t, "NVIDIA GeForce RTX 4090 ("+first+"): the driver reported XID 79", v.Fault([]string{first}))
}

func TestALookThatIsCutShortChangesNothing(t *testing.T) {
	v, source := watched(t)
	source.devices = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	found, err := v.Check(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, found)
	source.devices = []Device{real(t, 0), real(t, 1)}
	require.Empty(t, changes(t, v))
}

func TestADeviceThatIsMissingForAMomentIsNotGone(t *testing.T) {
	v, source := watched(t)
	all := source.devices
	for range 3 {
		source.devices = all[:1]
		require.Equal(t, []string{"1 out"}, changes(t, v))
		source.devices = all
		require.Equal(t, []string{"1 back"}, changes(t, v))
	}
}

func TestAnErrorThatOnlyAResetEndsIsGoneAtOnce(t *testing.T) {
	v, source := watched(t)
	source.devices[0].Obstacles = []Obstacle{{Faulty, "the driver reported XID 79"}}
	found, err := v.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, Gone, found[0].What)
	require.Equal(t, "the driver reported XID 79", found[0].Why)
}

func TestAGPUThatIsPartitionedGivesWayToItsInstances(t *testing.T) {
	v, source := watched(t)
	source.devices[1].Obstacles = []Obstacle{{Partitioned, "its instances are leased"}}
	slice := source.devices[1]
	slice.ID, slice.Obstacles = someID(t)+"m", nil
	source.devices = append(source.devices, slice)
	require.Equal(t, []string{"1 gone", "m back"}, changes(t, v))
	source.devices = source.devices[:2] // partitioned anew
	require.Equal(t, []string{"m out"}, changes(t, v))
	require.Equal(t, []string{"m gone"}, changes(t, v))
}

func TestADriverThatIsUpgradedUnderTheNodeTakesItsDevicesAway(t *testing.T) {
	v, source := watched(t)
	source.err = fmt.Errorf("initialising: %w", ErrDriverChanged)
	found, err := v.Check(t.Context())
	require.ErrorIs(t, err, ErrDriverChanged)
	require.Len(t, found, 2)
	require.Equal(t, Gone, found[0].What)
	require.Contains(t, found[0].Why, ErrDriverChanged.Error())
	source.err = nil
	require.Equal(t, []string{"0 back", "1 back"}, changes(t, v))
}

// A driver that is only too busy to answer ends no lease.
func TestADriverThatFailsForOnceOnlyStopsNewLeases(t *testing.T) {
	v, source := watched(t)
	source.err = errors.New("timed out")
	require.Equal(t, []string{"0 out", "1 out"}, changes(t, v))
	require.Empty(t, changes(t, v))
	require.Empty(t, changes(t, v), "however long it lasts")
	source.err = nil
	require.Equal(t, []string{"0 back", "1 back"}, changes(t, v))
}

func TestWhatIsInUseByOthersIsOutUntilTheyAreGone(t *testing.T) {
	v, source := watched(t)
	id := source.devices[0].ID
	source.use[id] = Use{Memory: 8 * gib}
	require.Equal(t, []string{"0 out"}, changes(t, v))
	delete(source.use, id)
	require.Equal(t, []string{"0 back"}, changes(t, v))
}

// While NVML fails, OpenCL may still list the same card under another name: it
// must not be leased a second time.
func TestACardIsNotOfferedASecondTimeByAnotherSource(t *testing.T) {
	nvml := &driver{name: "nvml", devices: []Device{real(t, 0)}}
	again := real(t, 0)
	again.ID = someID(t) + "x"
	same := real(t, 0) // or under the same one
	opencl := &driver{name: "opencl", devices: []Device{again, same}}
	v := stock(t, Options{}, nvml, opencl)
	require.Equal(t, []string{"0 back"}, changes(t, v))
	nvml.err = errors.New("timed out")
	require.Equal(t, []string{"0 out"}, changes(t, v))
	require.Empty(t, changes(t, v))
}
