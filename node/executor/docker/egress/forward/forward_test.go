package forward

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/executor/docker/egress/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 10 * time.Second

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// forwarded serves entry 3 and gives where the job connects to.
func forwarded(t *testing.T, patience time.Duration) (f *forward, address string, told *lines) {
	told = &lines{}
	f = newForward(3, "example.com:443", make(chan struct{}, 4), told)
	f.socket, f.patience = filepath.Join(t.TempDir(), "s"), patience
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { defer close(done); f.serve(l) }()
	t.Cleanup(func() { l.Close(); <-done })
	return f, l.Addr().String(), told
}

// node answers on the socket with handle, after the header was read.
func node(t *testing.T, f *forward, handle func(*net.UnixConn)) (stop func()) {
	l, err := net.Listen("unix", f.socket)
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				defer context.AfterFunc(t.Context(), func() { c.Close() })()
				if entry, err := frame.ReadHeader(c, frame.MaxEntries); err == nil && entry == 3 {
					handle(c.(*net.UnixConn))
				}
			})
		}
	})
	stop = sync.OnceFunc(func() { l.Close(); all.Wait() })
	t.Cleanup(stop)
	return stop
}

func dial(t *testing.T, address string) *net.TCPConn {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(soon)))
	return c.(*net.TCPConn)
}

// refused gives what a job sees that gets no connection: at once, or as it reads.
func refused(t *testing.T, address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(soon)))
	_, err = io.ReadAll(c)
	return err
}

func connected(c *net.UnixConn) { frame.WriteStatus(c, frame.Connected) } //nolint:errcheck // the job sees what comes of it

func TestForwardPassesBothWaysToTheEnd(t *testing.T) {
	f, address, told := forwarded(t, 0)
	node(t, f, func(c *net.UnixConn) {
		connected(c)
		io.Copy(c, c)     //nolint:errcheck // the job reads it
		c.CloseWrite()    //nolint:errcheck // as above
		c.Read([]byte{0}) //nolint:errcheck // until the job has closed it
	})
	for range 6 { // more than there are slots, one after the other
		c := dial(t, address)
		go func() {
			c.Write(make([]byte, 200<<10)) //nolint:errcheck // the test reads it
			c.CloseWrite()                 //nolint:errcheck // as above
		}()
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Len(t, got, 200<<10)
	}
	require.Empty(t, told.String())
}

func TestForwardSaysOnceWhyNot(t *testing.T) {
	f, address, told := forwarded(t, 0)
	node(t, f, func(c *net.UnixConn) { frame.WriteStatus(c, frame.Forbidden) }) //nolint:errcheck // the job sees what comes of it
	for range 3 {
		require.ErrorIs(t, refused(t, address), syscall.ECONNRESET, "which no program takes for an empty answer")
	}
	require.Equal(t, "souk-egress: example.com:443 can't be reached: "+frame.Forbidden.String()+"\n", told.String())
}

func TestForwardWaitsForANodeThatRestarts(t *testing.T) {
	f, address, told := forwarded(t, time.Minute)
	asked := make(chan struct{}, 100)
	stop := node(t, f, func(*net.UnixConn) { asked <- struct{}{} }) // gone before it answers
	c := dial(t, address)
	<-asked
	stop()
	node(t, f, func(c *net.UnixConn) {
		connected(c)
		io.WriteString(c, "back") //nolint:errcheck // the job reads it
		c.CloseWrite()            //nolint:errcheck // as above
		c.Read([]byte{0})         //nolint:errcheck // until the job has closed it
	})
	got := make([]byte, 4)
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "back", string(got))
	require.Empty(t, told.String())
}

func TestForwardGivesANodeUp(t *testing.T) {
	_, address, told := forwarded(t, 0)
	require.ErrorIs(t, refused(t, address), syscall.ECONNRESET)
	require.Contains(t, told.String(), "the provider's node doesn't answer")
}

// What broke off outside must not look complete inside.
func TestForwardPassesOnThatItBrokeOff(t *testing.T) {
	f, address, _ := forwarded(t, 0)
	node(t, f, func(c *net.UnixConn) {
		connected(c)
		io.WriteString(c, "half of") //nolint:errcheck // the job reads it
	})
	require.ErrorIs(t, refused(t, address), syscall.ECONNRESET)
}
