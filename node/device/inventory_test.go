package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// driver is a source whose devices come and go as the test says.
type driver struct {
	name    string
	devices []Device
	use     map[string]Use
	err     error
	closed  bool
	gone    *atomic.Bool // tells a watch in a goroutine of its own; nil: not gone
}

func (d *driver) Devices(context.Context) ([]Device, error) {
	if d.gone != nil && d.gone.Load() {
		return nil, nil
	}
	return d.devices, d.err
}

func (d *driver) Name() string      { return d.name }
func (d *driver) Explain() []string { return []string{"looked for " + d.name} }
func (d *driver) Close() error      { d.closed = true; return nil }

func (d *driver) Use(_ context.Context, dev Device) (Use, error) {
	use, ok := d.use[dev.ID]
	if !ok {
		return Use{}, errors.New("not supported")
	}
	return use, nil
}

func real(t *testing.T, n int) Device {
	return Device{
		ID: fmt.Sprint(someID(t), n), Model: "NVIDIA GeForce RTX 4090", VRAM: 24 * gib, Kind: Claimed, Vendor: "nvidia",
		Bus: fmt.Sprintf("0000:0%d:00.0", n),
	}
}

func stock(t *testing.T, o Options, sources ...Source) *Inventory {
	v := NewInventory(o, sources...)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}

func TestWhatCantBePassedToAJobIsNotOffered(t *testing.T) {
	pretended, err := ParseSimulated("T4")
	require.NoError(t, err)
	asked, way := 0, errors.New("no toolkit")
	v := stock(t, Options{Passable: func(_ context.Context, vendor string) error {
		require.Equal(t, "nvidia", vendor)
		asked++
		return way
	}}, &driver{name: "nvml", devices: []Device{real(t, 0), real(t, 1)}}, pretended)
	found, err := v.Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, asked, "once for all of one vendor")
	require.Equal(t, []Obstacle{{NoWay, "no toolkit"}}, found[1].Obstacles)
	require.True(t, found[2].Offered())
	way = nil
	require.Equal(t, []string{"0 back", "1 back"}, changes(t, v))
}

// codes are the obstacles of the only device there is.
func codes(t *testing.T, v *Inventory) (out []Code) {
	t.Helper()
	findings, err := v.Look(t.Context())
	require.NoError(t, err)
	require.Len(t, findings, 1)
	for _, o := range findings[0].Obstacles {
		require.NotEmpty(t, o.Text)
		out = append(out, o.Code)
	}
	return out
}

func TestADeviceIsOfferedUnlessSomethingSpeaksAgainstIt(t *testing.T) {
	d := real(t, 0)
	shows := d
	shows.Obstacles = []Obstacle{{Display, "it shows a screen"}}
	slice := d
	slice.Detail.Parent = "GPU-parent"
	none := d
	none.VRAM = 0
	simulated := d
	simulated.Kind = Simulated
	for name, row := range map[string]struct {
		device Device
		use    Use
		policy Policy
		leased bool
		want   []Code
	}{
		"free":                         {device: d},
		"a desktop's little memory":    {device: d, use: Use{Memory: gib}},
		"somebody's job":               {device: d, use: Use{Memory: gib + 1}, want: []Code{Busy}},
		"a lower limit":                {device: d, use: Use{Memory: gib}, policy: Policy{BusyMemory: gib - 1}, want: []Code{Busy}},
		"computing":                    {device: d, use: Use{Utilisation: 25}, want: []Code{Busy}},
		"nearly idle":                  {device: d, use: Use{Utilisation: 24}},
		"our own lease computes":       {device: d, use: Use{Utilisation: 100, Memory: 20 * gib}, leased: true},
		"souk itself measures":         {device: d, use: Use{Utilisation: 100, Memory: 20 * gib, Processes: []Process{{os.Getpid(), 20 * gib}}}},
		"souk beside another":          {device: d, use: Use{Utilisation: 100, Memory: gib, Processes: []Process{{os.Getpid(), gib}, {1, 0}}}, want: []Code{Busy}},
		"a screen":                     {device: shows, want: []Code{Display}},
		"a screen that may be":         {device: shows, policy: Policy{Display: true}},
		"reserved by ID":               {device: d, policy: Policy{Reserve: []string{d.ID}}, want: []Code{Reserved}},
		"reserved by number":           {device: d, policy: Policy{Reserve: []string{"0"}}, want: []Code{Reserved}},
		"reserved by address":          {device: d, policy: Policy{Reserve: []string{"0000:00:00.0"}}, want: []Code{Reserved}},
		"reserved by model":            {device: d, policy: Policy{Reserve: []string{"RTX 4090"}}, want: []Code{Reserved}},
		"reserved by its GPU":          {device: slice, policy: Policy{Reserve: []string{"GPU-parent"}}, want: []Code{Reserved}},
		"others reserved, not here":    {device: d, policy: Policy{Reserve: []string{"1", "A100", "", "GPU-x", "0000:01:00.0"}}, want: []Code{Withheld}},
		"no memory of its own":         {device: none, want: []Code{NoMemory}},
		"simulated ones are never use": {device: simulated, use: Use{Memory: 20 * gib}},
	} {
		t.Run(name, func(t *testing.T) {
			source := &driver{name: "test", devices: []Device{row.device}, use: map[string]Use{d.ID: row.use}}
			v := stock(t, Options{Policy: row.policy, Leased: func(string) bool { return row.leased }}, source)
			require.Equal(t, row.want, codes(t, v))
		})
	}
}

func TestWhoUsesADeviceIsNamed(t *testing.T) {
	d := real(t, 0)
	use := Use{Memory: 2 * gib, Processes: []Process{{1, 5}, {2, 7}, {3, 0}, {4, 9}, {5, 1}}}
	v := stock(t, Options{}, &driver{name: "test", devices: []Device{d}, use: map[string]Use{d.ID: use}})
	findings, err := v.Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, "2GiB of its memory are in use by process 4, 2, 1 and 2 more, and 1GiB may be (devices.busy_memory)", findings[0].Obstacles[0].Text)
}

func TestADeviceIsLockedWhileItIsOffered(t *testing.T) {
	source := &driver{name: "test", devices: []Device{real(t, 0)}}
	first := stock(t, Options{Hold: true}, source)
	second := stock(t, Options{Hold: true}, source)
	asks := stock(t, Options{}, source)
	require.Empty(t, codes(t, asks), "who only asks takes nothing")
	require.Empty(t, codes(t, first))
	require.Empty(t, codes(t, first), "its own lock is none")
	require.Equal(t, []Code{Taken}, codes(t, second))
	require.Equal(t, []Code{Taken}, codes(t, asks))
	require.NoError(t, first.Close())
	require.Empty(t, codes(t, second))
}

func TestAReservedDeviceIsLeftToOthers(t *testing.T) {
	source := &driver{name: "test", devices: []Device{real(t, 0)}}
	require.Equal(t, []Code{Reserved}, codes(t, stock(t, Options{Hold: true, Policy: Policy{Reserve: []string{"0"}}}, source)))
	require.Empty(t, codes(t, stock(t, Options{Hold: true}, source)))
}

func TestSimulatedDevicesOfManyNodesShareAMachine(t *testing.T) {
	source, err := ParseSimulated("RTX 4090")
	require.NoError(t, err)
	require.Empty(t, codes(t, stock(t, Options{Hold: true}, source)))
	require.Empty(t, codes(t, stock(t, Options{Hold: true}, source)))
}

func TestOneCardInTwoSourcesIsOneDevice(t *testing.T) {
	first, second := real(t, 0), real(t, 1)
	first.VRAM = 0
	again := first
	again.ID, again.VRAM, again.Bus, again.Detail.Compute = "OPENCL-0", 16*gib, "0000:00:00.0", "3.0"
	sliceA, sliceB := second, second
	sliceA.ID, sliceB.ID = "MIG-a", "MIG-b"
	devices, err := Detect(t.Context(), &driver{name: "sysfs", devices: []Device{first, sliceA, sliceB}},
		&driver{name: "opencl", devices: []Device{again, second}})
	require.NoError(t, err)
	require.Len(t, devices, 3, "instances share an address, and a card is known by it")
	require.Equal(t, first.ID, devices[0].ID)
	require.Equal(t, 16*gib, devices[0].VRAM, "what the first doesn't tell the second does")
	require.Equal(t, "3.0", devices[0].Detail.Compute)
	require.Equal(t, "sysfs", devices[0].Source)
}

func TestUseIsOfTheLastLook(t *testing.T) {
	d := real(t, 0)
	source := &driver{name: "test", devices: []Device{d}, use: map[string]Use{d.ID: {Memory: 5, Celsius: 60, Watts: 300, Utilisation: 9}}}
	at := time.Unix(1, 0)
	v := stock(t, Options{Now: func() time.Time { return at }}, source)
	require.Empty(t, v.Use([]string{d.ID}))
	_, err := v.Look(t.Context())
	require.NoError(t, err)
	want := Use{ID: d.ID, At: at, Memory: 5, Celsius: 60, Watts: 300, Utilisation: 9}
	require.Equal(t, []Use{want}, v.Use([]string{"unknown", d.ID}))
	require.Equal(t, want, v.Latest()[0].Use)
	require.Equal(t, []string{"looked for test"}, v.Explain())
	require.NoError(t, v.Close())
	require.True(t, source.closed)
}

func TestAWordOfReserveThatMeansNothingIsNamed(t *testing.T) {
	v := stock(t, Options{Policy: Policy{Reserve: []string{"0", "rtx-4080", "7"}}}, &driver{name: "test", devices: []Device{real(t, 0)}})
	require.Equal(t, []Code{Reserved}, codes(t, v))
	require.Equal(t, []string{"rtx-4080", "7"}, v.Unmatched())
}

// The owner of GPU 1 keeps it, also when GPU 0 falls off the bus and it is the
// only one left.
func TestANumberInReserveStaysWithItsDevice(t *testing.T) {
	source := &driver{name: "test", devices: []Device{real(t, 0), real(t, 1)}}
	v := stock(t, Options{Policy: Policy{Reserve: []string{"1"}}}, source)
	_, err := v.Look(t.Context())
	require.NoError(t, err)
	source.devices = source.devices[1:]
	require.Equal(t, []Code{Reserved}, codes(t, v))
}

func TestWatchTellsWhatChangedUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, err := ParseSimulated("RTX 4090")
		require.NoError(t, err)
		devices, err := source.Devices(t.Context())
		require.NoError(t, err)
		var gone atomic.Bool
		d := &driver{name: "test", gone: &gone, devices: devices}
		told := make(chan []Change)
		v := NewInventory(Options{Tell: func(c []Change, _ error) { told <- c }}, d)
		_, err = v.Look(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go v.Watch(ctx, WatchEvery)
		time.Sleep(3*WatchEvery + time.Second) // nothing changes, nothing is told
		gone.Store(true)
		start := time.Now()
		require.Equal(t, Out, (<-told)[0].What)
		require.Equal(t, Gone, (<-told)[0].What)
		require.LessOrEqual(t, time.Since(start), 2*WatchEvery)
		cancel()
		synctest.Wait()
	})
}

// Whoever mistypes the GPU that they keep must not lease it to strangers. Whose
// reserved GPU comes late, or goes later, leases out the others all the same.
func TestWhileAWordOfReserveMeansNothingNoDeviceIsOffered(t *testing.T) {
	all := []Device{real(t, 0), real(t, 1)}
	source := &driver{name: "test", devices: all[:1]}
	v := stock(t, Options{Policy: Policy{Reserve: []string{all[1].ID}}}, source)
	require.Equal(t, []Code{Withheld}, codes(t, v))
	require.Contains(t, v.Misnamed(), "devices.reserve names "+all[1].ID+", and no device here is called so")
	require.Contains(t, v.Misnamed(), "there is 0 ("+all[0].Model+", "+all[0].ID+")")
	source.devices = all
	findings, err := v.Look(t.Context())
	require.NoError(t, err)
	require.True(t, findings[0].Offered())
	require.Equal(t, Reserved, findings[1].Obstacles[0].Code)
	source.devices = all[:1]
	require.Empty(t, codes(t, v), "its owner named it rightly, and it is gone")
	require.Empty(t, v.Misnamed())
}
