package capacity

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/node/device"
)

// book is the plainest account that could be right: a list of who holds what
// until when, added up anew at every step.
type book struct {
	capacity *Capacity
	clock    *clock
	total    Total
	rows     []*row
	removed  map[string]bool
	named    int
}

type row struct {
	r         *Reservation
	until     time.Time
	committed bool
	released  bool
	gone      bool // a device was out when it was to be committed
}

func (b *book) live(r *row) bool {
	return !r.released && (r.committed || r.until.IsZero() || b.clock.now.Before(r.until))
}

func (b *book) reserve(t *rapid.T) {
	need := Need{
		Devices: device.Need{
			Slug:  rapid.SampledFrom([]string{"", "a100", "a100-40gb", "t4"}).Draw(t, "slug"),
			Count: rapid.IntRange(0, 3).Draw(t, "count"),
		},
		CPU:    rapid.IntRange(0, 5).Draw(t, "cpu"),
		Memory: rapid.Int64Range(0, 20).Draw(t, "memory") * gib,
		Disk:   rapid.Int64Range(0, 60).Draw(t, "disk") * gib,
	}
	need.Exclusive = rapid.Bool().Draw(t, "exclusive")
	var until time.Time
	if rapid.Bool().Draw(t, "expires") {
		until = b.clock.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "seconds")) * time.Second)
	}
	free := b.capacity.Free()
	b.named++
	r, err := b.capacity.Reserve(fmt.Sprint(b.named), need, until)
	if err != nil {
		require.ErrorAs(t, err, new(*Shortage))
		require.Equal(t, free, b.capacity.Free(), "a refusal holds nothing")
		return
	}
	require.Len(t, r.Devices(), need.Devices.Count)
	for _, d := range r.Devices() {
		require.True(t, need.Devices.Match(d))
		require.False(t, b.removed[d.ID], "%s was taken out", d.ID)
	}
	b.rows = append(b.rows, &row{r: r, until: until, committed: until.IsZero()})
}

// pick is one of the rows, nil if none could be made.
func (b *book) pick(t *rapid.T) *row {
	if len(b.rows) == 0 {
		b.reserve(t)
	}
	if len(b.rows) == 0 {
		return nil
	}
	return rapid.SampledFrom(b.rows).Draw(t, "row")
}

func (b *book) commit(t *rapid.T) {
	row := b.pick(t)
	if row == nil {
		return
	}
	live := b.live(row)
	err := row.r.Commit()
	row.gone = row.gone || live && !row.committed && b.lacks(row) // and every later Commit says so again
	require.Equal(t, live && !row.gone, err == nil)
	require.Equal(t, row.gone, errors.Is(err, ErrRemoved))
	row.committed = row.committed || live && !row.gone
	row.released = row.released || row.gone
}

// lacks tells that a device of the row is out now.
func (b *book) lacks(r *row) bool {
	return slices.ContainsFunc(r.r.Devices(), func(d device.Device) bool { return b.removed[d.ID] })
}

func (b *book) remove(t *rapid.T) {
	d := rapid.SampledFrom(b.total.Devices).Draw(t, "device")
	var want []string
	for _, row := range b.rows {
		if b.live(row) && slices.Contains(row.r.Holding().DeviceIDs, d.ID) {
			want = append(want, row.r.ID())
		}
	}
	slices.Sort(want)
	require.Equal(t, want, b.capacity.Remove(d.ID), "who holds it")
	require.Equal(t, want, b.capacity.Holders(d.ID))
	b.removed[d.ID] = true
}

func (b *book) giveBack(t *rapid.T) {
	d := rapid.SampledFrom(b.total.Devices).Draw(t, "device")
	require.NoError(t, b.capacity.Return(d))
	delete(b.removed, d.ID)
}

func (b *book) release(t *rapid.T) {
	if row := b.pick(t); row != nil {
		row.r.Release()
		row.released = true
	}
}

func (b *book) wait(t *rapid.T) {
	b.clock.now = b.clock.now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
}

// restart builds the account anew from what the live reservations hold.
func (b *book) restart(t *rapid.T) {
	again, err := New(b.total, b.clock.Now)
	require.NoError(t, err)
	for id := range b.removed {
		require.Empty(t, again.Remove(id))
	}
	var rows []*row
	for _, old := range b.rows {
		if !b.live(old) {
			continue
		}
		r, err := again.Restore(old.r.ID(), old.r.Holding())
		require.NoError(t, err)
		rows = append(rows, &row{r: r, committed: true})
	}
	b.capacity, b.rows = again, rows
}

func (b *book) check(t *rapid.T) {
	want := b.total
	want.Devices = nil
	shares := max(b.total.Shares, 1)
	taken := map[string]int{}
	for _, row := range b.rows {
		if !b.live(row) {
			continue
		}
		holding := row.r.Holding()
		want.CPU -= holding.CPU
		want.Memory -= holding.Memory
		want.Disk -= holding.Disk
		want.Slots--
		for _, id := range holding.DeviceIDs {
			if holding.Shared {
				taken[id]++
			} else {
				require.Zero(t, taken[id], "%s is leased whole and else", id)
				taken[id] += shares
			}
			require.LessOrEqual(t, taken[id], shares, "%s is leased to too many", id)
		}
	}
	for _, d := range b.total.Devices {
		if taken[d.ID] < shares && !b.removed[d.ID] {
			want.Devices = append(want.Devices, d)
		}
	}
	require.Equal(t, want, b.capacity.Free())
	require.GreaterOrEqual(t, min(want.CPU, want.Slots), 0)
	require.GreaterOrEqual(t, min(want.Memory, want.Disk), int64(0))
}

func TestTheAccountAlwaysAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &book{clock: &clock{now: noon}, total: machine(), removed: map[string]bool{}}
		b.total.Shares = rapid.IntRange(0, 3).Draw(t, "shares")
		b.restart(t)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": b.reserve, "commit": b.commit, "release": b.release,
			"wait": b.wait, "restart": b.restart, "remove": b.remove, "return": b.giveBack, "": b.check,
		})
		for _, d := range b.total.Devices {
			require.NoError(t, b.capacity.Return(d))
		}
		for _, row := range b.rows {
			row.r.Release()
		}
		require.Equal(t, b.total, b.capacity.Free(), "everything comes back")
	})
}
