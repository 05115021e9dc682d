package provider_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	"github.com/stretchr/testify/require"

	"souk/node/capacity"
	"souk/node/device"
	"souk/node/executor"
	"souk/node/ledger"
	"souk/node/provider"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// onGPU makes the guest's request one for the shop's only GPU.
func (g *guest) onGPU() *guest {
	g.request.GPU = &market.GPUNeed{Name: "RTX 4090", Count: 1}
	g.request.AllowSimulated = true
	return g
}

// fallsOff takes a device away as the node's watch does.
func (s *shop) fallsOff(why string) device.Device {
	d := s.total.Devices[0]
	s.capacity.Remove(d.ID)
	s.DeviceLost(d, why)
	return d
}

func TestADeviceThatVanishesEndsItsLeaseAsTheProvidersFault(t *testing.T) {
	var told atomic.Pointer[provider.Event]
	s := newShop(t, func(c *provider.Config) {
		c.Notify = func(e provider.Event) {
			if e.Kind == provider.Trouble {
				told.Store(&e)
			}
		}
	})
	g := newGuest(t, s).onGPU()
	a := g.lease()
	v := g.attach(a, 0)
	s.started()
	require.NoError(t, v.next(ticks(1)))
	signed := v.last.Charged
	d := s.fallsOff("the driver reported XID 79")
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.ProviderFailed, v.last.Outcome)
	require.LessOrEqual(t, v.last.Charged.String(), signed.Add(a.Quote.TickPrice).String())
	require.Equal(t, v.receipts[len(v.receipts)-2].Charged, v.last.Charged, "no more than what was signed before")
	require.NoError(t, v.next(settled(v.last.Seq)))
	require.Equal(t, "a leased device is gone, RTX 4090 ("+d.ID+"): the driver reported XID 79", s.record(a.Lease.Hash()).Reason)
	require.Contains(t, told.Load().Text, "leases that it ends: 1")

	free := s.capacity.Free()
	require.Empty(t, free.Devices)
	require.Equal(t, s.total.CPU, free.CPU)
	require.Empty(t, s.Offer().Devices, "what is gone isn't offered")
	_, err := g.ask()
	require.True(t, wire.IsCode(err, wire.NoMatch), err)

	require.NoError(t, s.capacity.Return(d))
	s.DevicesChanged()
	require.Equal(t, 1, s.Offer().Devices[0].Free)
	s.nothingHeld()
}

func TestADeviceThatVanishesBeforeTheStartCostsNothing(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s).onGPU()
	q, err := g.ask()
	require.NoError(t, err)
	require.NoError(t, g.reconcile())
	a := g.acceptance(q, q.Quote.TickPrice)
	require.NoError(t, g.send(a)) // and the module doesn't come
	d := s.fallsOff("it fell off the bus")
	require.Eventually(t, func() bool { return s.record(a.Lease.Hash()).Outcome == market.ProviderFailed }, time.Minute, 5*time.Millisecond)
	rec := s.record(a.Lease.Hash())
	require.True(t, rec.Newest.Charged.IsZero())
	require.Contains(t, rec.Reason, "it fell off the bus")
	require.NoError(t, s.capacity.Return(d))
	s.nothingHeld()
}

// A GPU takes its process with it before anybody has looked at the GPU.
func TestAJobThatFailsOnAFailedDeviceIsTheProvidersFault(t *testing.T) {
	for name, row := range map[string]struct {
		fault   string
		code    int
		outcome market.Outcome
	}{
		"failed on a failed one": {"the driver reported XID 48", 1, market.ProviderFailed},
		"failed on a sound one":  {"", 1, market.JobFailed},
		"succeeded all the same": {"the driver reported XID 48", 0, market.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			s := newShop(t, func(c *provider.Config) {
				c.Fault = func(ids []string) string {
					asked.Add(int32(len(ids)))
					return row.fault
				}
			})
			g := newGuest(t, s).onGPU()
			a := g.lease()
			v := g.attach(a, 0)
			s.started().exit(executor.Exited, row.code)
			require.NoError(t, v.next(isDone))
			require.Equal(t, row.outcome, v.last.Outcome)
			require.NoError(t, v.next(settled(v.last.Seq)))
			require.Contains(t, s.record(a.Lease.Hash()).Reason, map[bool]string{true: row.fault}[row.outcome == market.ProviderFailed])
			require.Equal(t, int32(row.code), asked.Load(), "only who failed is looked into")
			s.nothingHeld()
		})
	}
}

func TestOtherLeasesOutliveADevice(t *testing.T) {
	s := newShop(t)
	g := newGuest(t, s)
	a := g.lease() // needs no GPU
	v := g.attach(a, 0)
	job := s.started()
	d := s.fallsOff("it fell off the bus")
	require.NoError(t, v.next(ticks(1)))
	job.exit(executor.Exited, 0)
	require.NoError(t, v.next(isDone))
	require.Equal(t, market.Succeeded, v.last.Outcome)
	require.NoError(t, s.capacity.Return(d))
}

// A thousand clients with a paid history, whose quotes hold devices, ask at
// once for the four GPUs that there are.
func TestAThousandQuotesAtOnceNeverHoldADeviceTwice(t *testing.T) {
	const gpus, clients = 4, 1000
	source, err := device.ParseSimulated(fmt.Sprintf("RTX 4090:%d", gpus))
	require.NoError(t, err)
	devices, err := device.Detect(t.Context(), source)
	require.NoError(t, err)
	total := capacity.Total{Devices: devices, CPU: clients, Memory: 1 << 50, Disk: 1 << 50, Slots: clients}
	free, err := capacity.New(total, time.Now)
	require.NoError(t, err)
	s := newShop(t, func(c *provider.Config) { c.Total, c.Capacity = total, free })
	g := newGuest(t, s).onGPU()
	block, err := g.request.Encode()
	require.NoError(t, err)
	asked := lease.Asked{Request: g.request, Block: block, Config: g.config, Channel: g.channel(), ClientAt: uint64(time.Now().UnixMilli())}

	peers := make([]peer.ID, clients)
	for i := range peers {
		peers[i], err = test.RandPeerID()
		require.NoError(t, err)
	}
	require.NoError(t, s.ledger.Update(t.Context(), func(tx *ledger.Tx) error {
		for _, p := range peers {
			if err := tx.PutPeer(ledger.Peer{ID: p.String(), Paid: market.NewAmount(1)}); err != nil {
				return err
			}
		}
		return nil
	}))
	var quoted, other atomic.Int32
	var everyone sync.WaitGroup
	for _, p := range peers {
		everyone.Go(func() {
			switch _, err := s.Quote(t.Context(), p, asked); {
			case err == nil:
				quoted.Add(1)
			case !wire.IsCode(err, wire.Busy):
				other.Add(1)
			}
		})
	}
	everyone.Wait()
	require.Equal(t, int32(gpus), quoted.Load())
	require.Zero(t, other.Load(), "the others are told to come later")
	for _, d := range devices {
		require.Len(t, free.Holders(d.ID), 1)
	}
	require.Equal(t, clients-gpus, free.Free().CPU)
}
