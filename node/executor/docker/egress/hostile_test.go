package egress

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/executor/docker/egress/frame"
)

func TestHostileHeaders(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	g := w.gate(t)
	wiring := open(t, g, "job1", "example.com:443", "example.com:80")
	for _, header := range []string{
		"\x00\x00\x00\x00", "sE\x01\x02", "sE\x01\xff", "sE\x02\x00", "Es\x01\x00", "GET / HTTP/1.1\r\n\r\n", "CONNECT 10.0.0.1:22 HTTP/1.1\r\n", "\x05\x01\x00\x03", "sE\x01",
	} {
		c := raw(t, wiring)
		_, err := io.WriteString(c, header)
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		status, err := frame.ReadStatus(c)
		require.NoError(t, err, "%q", header)
		require.Equal(t, frame.BadHeader, status, "%q", header)
	}
	require.Empty(t, w.dials())
	connected(t, wiring, 0)
}

func TestASilentConnectionIsEnded(t *testing.T) {
	g := newWorld().gate(t)
	g.header = 50 * time.Millisecond
	wiring := open(t, g, "job1", "example.com:443")
	for _, header := range []string{"", "sE\x01"} {
		c := raw(t, wiring)
		_, err := io.WriteString(c, header)
		require.NoError(t, err)
		status, err := frame.ReadStatus(c)
		require.NoError(t, err)
		require.Equal(t, frame.BadHeader, status)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("sE\x01\x00"), 1)
	f.Add([]byte("sE\x01\x1f"), 32)
	f.Add([]byte("sE\x01\x20"), 200)
	f.Add([]byte("sE"), 2)
	f.Fuzz(func(t *testing.T, b []byte, entries int) {
		fuzztest.Bound(t)
		r := bytes.NewReader(b)
		entry, err := frame.ReadHeader(r, entries)
		require.LessOrEqual(t, len(b)-r.Len(), frame.HeaderSize)
		if err != nil {
			return
		}
		require.True(t, entry >= 0 && entry < entries && entry < frame.MaxEntries)
		var again bytes.Buffer
		require.NoError(t, frame.WriteHeader(&again, entry))
		require.Equal(t, b[:frame.HeaderSize], again.Bytes())
	})
}

func TestConnectionsAtOnceAreBounded(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	g := w.gate(t, func(c *Config) { c.Limits.Connections = 2 })
	wiring := open(t, g, "job1", "example.com:443")
	first := connected(t, wiring, 0)
	connected(t, wiring, 0)
	c := raw(t, wiring)
	status, err := frame.ReadStatus(c)
	require.NoError(t, err)
	require.Equal(t, frame.Busy, status)
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool {
		c := raw(t, wiring)
		frame.WriteHeader(c, 0) //nolint:errcheck // a refused one is closed before it is read
		status, err := frame.ReadStatus(c)
		return err == nil && status == frame.Connected
	}, soon, 20*time.Millisecond, "a closed connection gives its place back")
}

func TestNewConnectionsHaveARate(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	g := w.gate(t, func(c *Config) { c.Limits.PerSecond = 2 })
	wiring := open(t, g, "job1", "example.com:443")
	began := time.Now()
	for range 6 {
		connected(t, wiring, 0).Close()
	}
	require.Greater(t, time.Since(began), 400*time.Millisecond, "a burst of 4, and then 2 a second")
}

func TestBytesHaveARate(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	g := w.gate(t, func(c *Config) { c.Limits.BytesPerSecond = minRate })
	c := connected(t, open(t, g, "job1", "example.com:443"), 0)
	began := time.Now()
	go c.Write(make([]byte, minRate)) //nolint:errcheck // the test reads it
	_, err := io.ReadFull(c, make([]byte, minRate))
	require.NoError(t, err)
	require.Greater(t, time.Since(began), 700*time.Millisecond, "twice the burst: there and back")
}

func TestBytesInAllAreBounded(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	g := w.gate(t, func(c *Config) { c.Limits.Bytes = 1000 })
	wiring := open(t, g, "job1", "example.com:443")
	c := connected(t, wiring, 0)
	_, err := c.Write(make([]byte, 400))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 400))
	require.NoError(t, err)
	_, err = c.Write(make([]byte, 400)) // 200 of it, at most
	require.NoError(t, err)
	got, _ := io.ReadAll(c)
	require.LessOrEqual(t, len(got), 200)
	require.Eventually(t, func() bool {
		_, status := ask(t, wiring, 0)
		return status == frame.Spent
	}, soon, 20*time.Millisecond)
	traffic := g.Traffic("job1")[0]
	require.LessOrEqual(t, traffic.Sent+traffic.Received, uint64(1000))
}

func TestIdleAndSlowConnectionsEnd(t *testing.T) {
	w := newWorld()
	w.serve(t, "silent.example", "93.184.216.34:443", func(c *net.TCPConn) { io.Copy(io.Discard, c) }) //nolint:errcheck // ends with the connection
	w.serve(t, "flood.example", "93.184.216.35:443", func(c *net.TCPConn) {
		for b := make([]byte, 1<<20); ; {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
	over := make(chan struct{})
	w.serve(t, "deaf.example", "93.184.216.36:443", func(*net.TCPConn) { <-over })
	t.Cleanup(func() { close(over) })
	g := w.gate(t, func(c *Config) { c.Limits.Idle, c.Limits.Connections = 100*time.Millisecond, 1 })
	wiring := open(t, g, "job1", "silent.example:443", "flood.example:443", "deaf.example:443")
	_, err := connected(t, wiring, 0).Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	// The job that reads nothing of a flood holds its place no longer than idle.
	require.Eventually(t, func() bool { return len(g.open["job1"].slots) == 0 }, soon, 5*time.Millisecond)
	connected(t, wiring, 1)
	require.Eventually(t, func() bool { return len(g.open["job1"].slots) == 0 }, soon, 5*time.Millisecond)
	// Nor does the place that reads nothing of the job's.
	_, err = io.Copy(connected(t, wiring, 2), zeros{})
	require.Error(t, err)
	require.Eventually(t, func() bool { return len(g.open["job1"].slots) == 0 }, soon, 5*time.Millisecond)
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestAConnectionInUseIsNotIdle(t *testing.T) {
	w := newWorld()
	done := make(chan struct{})
	w.serve(t, "drip.example", "93.184.216.34:443", func(c *net.TCPConn) {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range 12 {
			<-tick.C
			c.Write([]byte{1}) //nolint:errcheck // the test reads it
		}
		close(done)
	})
	g := w.gate(t, func(c *Config) { c.Limits.Idle = 300 * time.Millisecond })
	got, err := io.ReadAll(connected(t, open(t, g, "job1", "drip.example:443"), 0))
	require.NoError(t, err)
	require.Len(t, got, 12, "600 ms, and never 300 without a byte")
	<-done
}

// What broke off on one side must not look complete on the other.
func TestBreakingOffIsPassedOn(t *testing.T) {
	w := newWorld()
	broke := make(chan error, 1)
	w.serve(t, "breaks.example", "93.184.216.34:443", func(c *net.TCPConn) {
		c.Read([]byte{0})            //nolint:errcheck // it is connected by then
		io.WriteString(c, "half of") //nolint:errcheck // the test reads it
		c.SetLinger(0)               //nolint:errcheck // the test sees it
	})
	w.serve(t, "listens.example", "93.184.216.35:443", func(c *net.TCPConn) {
		_, err := io.Copy(io.Discard, c)
		broke <- err
	})
	wiring := open(t, w.gate(t), "job1", "breaks.example:443", "listens.example:443")
	c := connected(t, wiring, 0)
	_, err := c.Write([]byte{0})
	require.NoError(t, err)
	io.Copy(io.Discard, c) //nolint:errcheck // either way
	require.Eventually(t, func() bool { return frame.Hung(c) }, soon, time.Millisecond)

	c = connected(t, wiring, 1)
	_, err = io.WriteString(c, "half of")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	select {
	case err := <-broke:
		require.Error(t, err, "reset")
	case <-time.After(soon):
		require.Fail(t, "the place was not told")
	}
	c = connected(t, wiring, 1)
	require.NoError(t, c.CloseWrite())
	require.NoError(t, <-broke, "who said all before closing is heard to the end")
}

// A resolver that never answers holds nobody beyond the gate's life.
type deaf struct{ *world }

func (deaf) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestClosingEndsWhatIsBeingDialled(t *testing.T) {
	w := newWorld()
	w.names["example.com."] = []string{"93.184.216.34"}
	g := w.gate(t, func(c *Config) { c.Dialer = deaf{w} })
	wiring := open(t, g, "job1", "example.com:443")
	c := raw(t, wiring)
	require.NoError(t, frame.WriteHeader(c, 0))
	require.Eventually(t, func() bool { return len(g.open["job1"].slots) == 1 }, soon, time.Millisecond)
	began := time.Now()
	require.NoError(t, wiring.Close())
	require.Less(t, time.Since(began), attemptLimit/2)
}
