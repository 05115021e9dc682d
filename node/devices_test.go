package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/capacity"
	"souk/node/device"
	"souk/protocol/market"
)

// cards is a source whose devices the test changes.
type cards struct {
	devices []device.Device
	use     device.Use
	err     error
}

func (c *cards) Name() string { return "cards" }

func (c *cards) Devices(context.Context) ([]device.Device, error) { return c.devices, c.err }

func (c *cards) Use(context.Context, device.Device) (device.Use, error) { return c.use, nil }

// landlord notes what a provider would do.
type landlord struct {
	lost    []string
	told    []string
	changed int
}

func (l *landlord) DeviceLost(d device.Device, why string) { l.lost = append(l.lost, d.Model+": "+why) }
func (l *landlord) DeviceOut(d device.Device, why string) {
	l.told = append(l.told, d.Model+" out: "+why)
}
func (l *landlord) DeviceBack(d device.Device) { l.told = append(l.told, d.Model+" back") }
func (l *landlord) DevicesChanged()            { l.changed++ }

type house struct {
	*stock
	source *cards
	free   *capacity.Capacity
	owner  *landlord
	log    *strings.Builder
}

func newHouse(t *testing.T, d Devices, source *cards) *house {
	h := &house{source: source, owner: &landlord{}, log: &strings.Builder{}}
	h.stock = stockOf(t.Context(), device.Options{Policy: d.Policy, Hold: true}, slog.New(slog.NewTextHandler(h.log, nil)), source)
	t.Cleanup(func() { require.NoError(t, h.inventory.Close()) })
	var err error
	h.free, err = capacity.New(capacity.Total{Devices: h.leased, CPU: 8, Slots: 8, Shares: d.Shared}, time.Now)
	require.NoError(t, err)
	h.serve(h.free, h.owner)
	return h
}

// look is what the watch does every 10 s; it gives how many devices are free then.
func (h *house) look(t *testing.T) int {
	_, _ = h.inventory.Check(t.Context())
	return len(h.free.Free().Devices)
}

func card(t *testing.T, n int) device.Device {
	return device.Device{
		ID: fmt.Sprintf("%s-%d-%d", t.Name(), os.Getpid(), n), Model: "Card", VRAM: 8 << 30, Kind: device.Claimed,
		Detail: device.Detail{Nodes: []string{fmt.Sprintf("/dev/dri/renderD%d", 128+n)}},
	}
}

func TestADeviceThatVanishesIsTakenOutAndItsLeasesAreTold(t *testing.T) {
	h := newHouse(t, Devices{}, &cards{devices: []device.Device{card(t, 0), card(t, 1)}})
	all := h.source.devices
	_, err := h.free.Reserve("lease", capacity.Need{Devices: device.Need{Count: 2}}, time.Time{})
	require.NoError(t, err)
	h.source.devices = all[:1]
	h.look(t)
	require.Empty(t, h.owner.lost)
	h.look(t)
	require.Len(t, h.owner.lost, 1)
	require.Contains(t, h.owner.lost[0], "Card: its driver doesn't list it any more")
	require.Equal(t, []string{"lease"}, h.free.Holders(all[1].ID), "until its lease has ended")
	require.Len(t, h.free.Total().Devices, 1)
	h.source.devices = all
	h.look(t)
	require.Len(t, h.free.Total().Devices, 2)
	require.Equal(t, 3, h.owner.changed)
	require.Equal(t, []string{"Card out: its driver doesn't list it", "Card back"}, h.owner.told)
}

// After a restart the container of a lease that goes on keeps its device busy.
func TestADeviceThatALeaseOfBeforeUsesIsHeldAgain(t *testing.T) {
	busy := &cards{devices: []device.Device{card(t, 0)}, use: device.Use{Memory: 7 << 30, Utilisation: 99, Watts: 300, Celsius: 70}}
	h := newHouse(t, Devices{}, busy)
	id := busy.devices[0].ID
	require.Zero(t, h.look(t), "nobody else gets it")
	r, err := h.free.Restore("lease", capacity.Holding{DeviceIDs: []string{id}})
	require.NoError(t, err)
	h.look(t)
	require.Len(t, h.free.Total().Devices, 1, "it is no other's use")
	require.Equal(t, []market.DeviceUse{{ID: id, Model: "Card", Utilisation: 99, Memory: 7 << 30, Watts: 300, Celsius: 70}}, h.use([]string{id, "another"}))
	r.Release()
	require.Zero(t, h.look(t), "what the lease left running is somebody's use")
	busy.use = device.Use{}
	require.Equal(t, 1, h.look(t))
}

func TestWhatSpeaksAgainstADeviceKeepsItOut(t *testing.T) {
	h := newHouse(t, Devices{Policy: device.Policy{Reserve: []string{"1"}}}, &cards{devices: []device.Device{card(t, 0), card(t, 1)}})
	require.Len(t, h.leased, 1)
	require.Equal(t, card(t, 0).ID, h.leased[0].ID)
	require.Contains(t, h.log.String(), "devices.reserve keeps it for its owner")
	require.Empty(t, h.lacking(), "its owner knows")
	h.source.use = device.Use{Utilisation: 60}
	require.Zero(t, h.look(t))
	require.Equal(t, []string{"Card (" + card(t, 0).ID + "): it computes 60 % of the time, and 25 % counts as busy"}, h.lacking())
	require.Equal(t, []string{"/dev/dri/renderD128"}, h.nodes(h.leased[0].ID))
	require.Empty(t, h.nodes("unknown"))
}

func TestAJobThatFailedIsHeldAgainstItsDeviceOnlyIfThatFailed(t *testing.T) {
	h := newHouse(t, Devices{}, &cards{devices: []device.Device{card(t, 0)}})
	ids := []string{h.leased[0].ID}
	require.Empty(t, h.fault(ids))
	h.source.devices[0].Obstacles = []device.Obstacle{{Code: device.Faulty, Text: "the driver reported XID 79"}}
	require.Equal(t, "Card ("+ids[0]+"): the driver reported XID 79", h.fault(ids))
	require.Len(t, h.owner.lost, 1, "and the look is told as any other")
}

func TestADriverThatKeepsFailingIsLoggedOnce(t *testing.T) {
	h := newHouse(t, Devices{}, &cards{devices: []device.Device{card(t, 0)}})
	h.source.err = errors.New("timed out")
	for range 5 {
		require.Zero(t, h.look(t))
	}
	require.Equal(t, 1, strings.Count(h.log.String(), "err="))
	require.Empty(t, h.owner.lost)
	require.Equal(t, []string{"looking for devices with cards: timed out"}, h.lacking())
	h.source.err = nil
	require.Equal(t, 1, h.look(t))
	h.source.err = context.Canceled
	require.Zero(t, h.look(t))
	require.Equal(t, 1, strings.Count(h.log.String(), "err="), "that the node ends is no failure")
}

func TestTheWatchEndsWhenItIsStopped(t *testing.T) {
	h := newHouse(t, Devices{}, &cards{})
	require.NoError(t, h.watch()())
}

func TestRealDevicesAreOnlyLookedForByWhoCanUseThem(t *testing.T) {
	s, err := newStock(t.Context(), Devices{}, []string{"RTX 4090"}, false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Len(t, s.leased, 1)
	require.Empty(t, s.inventory.Explain())
	require.NoError(t, s.inventory.Close())
}

func TestAMachineWithoutAGPUSaysSo(t *testing.T) {
	h := newHouse(t, Devices{}, &cards{})
	require.Empty(t, h.lacking(), "where none was looked for it goes without saying")
	h.looked = true
	require.Equal(t, []string{"GPU: none found; `souk devices` says why"}, h.lacking())
}

// A lease of before a restart keeps its device while the others are kept back.
func TestADeviceThatIsWithheldKeepsItsLease(t *testing.T) {
	source := &cards{devices: []device.Device{card(t, 0)}}
	reserved := card(t, 1)
	h := newHouse(t, Devices{Policy: device.Policy{Reserve: []string{reserved.ID}}}, source)
	require.Empty(t, h.free.Free().Devices)
	require.Len(t, h.lacking(), 1)
	r, err := h.free.Restore("lease", capacity.Holding{DeviceIDs: []string{card(t, 0).ID}})
	require.NoError(t, err)
	require.Equal(t, []string{"lease"}, h.free.Holders(card(t, 0).ID))
	r.Release()
	source.devices = append(source.devices, reserved)
	require.Equal(t, 1, h.look(t), "the reserved one is back, so the other is offered")
	require.Empty(t, h.lacking())
}
