package p2p

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
)

// fakeDHT notes what is advertised, and fails while told to.
type fakeDHT struct {
	mu    sync.Mutex
	fail  error
	times map[cid.Cid][]time.Time
}

func (f *fakeDHT) provide(_ context.Context, c cid.Cid) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.times[c] = append(f.times[c], time.Now())
	return nil
}

func (f *fakeDHT) setFail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *fakeDHT) count(k Key) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.times[k.CID()])
}

func startFake(t *testing.T, f *fakeDHT, grown *signal, keys func() []Key) *Advertiser {
	t.Helper()
	f.times = make(map[cid.Cid][]time.Time)
	a := &Advertiser{keys: keys, provide: f.provide, grown: grown.next, every: AdvertiseEvery, retry: RetryMin}
	ctx := a.init(t.Context())
	go a.run(ctx)
	synctest.Wait()
	return a
}

func TestAdvertiserKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := allKey(t, "test")
		dht := &fakeDHT{}
		a := startFake(t, dht, &signal{}, func() []Key { return []Key{key, key} })
		defer a.Close()
		require.Equal(t, 1, dht.count(key), "at once, and once")
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		times := dht.times[key.CID()]
		require.InDelta(t, 48, len(times), 8)
		for i := 1; i < len(times); i++ {
			gap := times[i].Sub(times[i-1])
			require.GreaterOrEqual(t, gap, 24*time.Minute)
			require.LessOrEqual(t, gap, 36*time.Minute)
		}
	})
}

func TestAdvertiserRetriesWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := allKey(t, "test")
		down := errors.New("nobody there")
		dht := &fakeDHT{fail: down}
		a := startFake(t, dht, &signal{}, func() []Key { return []Key{key} })
		defer a.Close()
		require.Equal(t, []KeyState{{Key: key, LastError: down}}, a.State())

		time.Sleep(12 * time.Hour)
		dht.setFail(nil)
		time.Sleep(37 * time.Minute) // the longest pause is that between good ones
		synctest.Wait()
		require.GreaterOrEqual(t, dht.count(key), 1)
		require.NoError(t, a.State()[0].LastError)
		require.Equal(t, dht.times[key.CID()][dht.count(key)-1], a.State()[0].LastSuccess)
	})
}

func TestAdvertiserWhenServersCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := allKey(t, "test")
		grown := &signal{}
		dht := &fakeDHT{fail: errors.New("nobody there")}
		a := startFake(t, dht, grown, func() []Key { return []Key{key} })
		defer a.Close()
		time.Sleep(time.Hour) // by now the pauses are long
		synctest.Wait()
		dht.setFail(nil)
		grown.fire()
		synctest.Wait()
		require.Equal(t, 1, dht.count(key), "at once")

		for range 10 { // ten more come in one go
			grown.fire()
			synctest.Wait()
		}
		require.Equal(t, 1, dht.count(key), "not for each")
		time.Sleep(grownPause)
		synctest.Wait()
		require.Equal(t, 2, dht.count(key), "but for all together")
	})
}

func TestAdvertiserChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := allKey(t, "test")
		added, err := CellKey("test", "eu", 24, Place{})
		require.NoError(t, err)
		var mu sync.Mutex
		keys := []Key{old}
		dht := &fakeDHT{}
		a := startFake(t, dht, &signal{}, func() []Key {
			mu.Lock()
			defer mu.Unlock()
			return keys
		})
		defer a.Close()
		time.Sleep(time.Minute)
		mu.Lock()
		keys = []Key{old, added}
		mu.Unlock()
		a.Changed()
		synctest.Wait()
		require.Equal(t, 1, dht.count(old), "what stood keeps its turn")
		require.Equal(t, 1, dht.count(added))
		require.Len(t, a.State(), 2)

		mu.Lock()
		keys = nil
		mu.Unlock()
		a.Changed()
		synctest.Wait()
		require.Empty(t, a.State())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, 1, dht.count(old))
	})
}
