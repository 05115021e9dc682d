package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor/docker/egress/frame"
)

const soon = time.Minute

// world is the internet of a test: names, and who answers at which address.
type world struct {
	mu     sync.Mutex
	names  map[string][]string // with their final dot
	served map[string]string   // address:port → listener on this machine
	dialed []string            // address:port, in order
	asked  []string            // names, in order
}

func newWorld() *world {
	return &world{names: map[string][]string{}, served: map[string]string{}}
}

func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, host)
	texts, known := w.names[host]
	if !known {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, t := range texts {
		addrs = append(addrs, netip.MustParseAddr(t))
	}
	return addrs, nil
}

func (w *world) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, address)
	to, known := w.served[address]
	w.mu.Unlock()
	if !known {
		return nil, errors.New("no route to host")
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

func (w *world) dials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.dialed...)
}

// serve answers at address:port, by which name leads to it, with handle.
func (w *world) serve(t *testing.T, name, address string, handle func(*net.TCPConn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); handle(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	a := netip.MustParseAddrPort(address)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name+"."] = append(w.names[name+"."], a.Addr().String())
	w.served[address] = l.Addr().String()
}

// echo sends everything back, and then says that this was all.
func echo(c *net.TCPConn) {
	io.Copy(c, c)  //nolint:errcheck // the test sees what comes back
	c.CloseWrite() //nolint:errcheck // as above
}

// answer hears all and then says text: what closes with something unheard resets.
func answer(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		io.Copy(io.Discard, c)  //nolint:errcheck // the test sees what comes back
		io.WriteString(c, text) //nolint:errcheck // as above
	}
}

// gate serves in a world, on a machine that is on no network.
func (w *world) gate(t *testing.T, change ...func(*Config)) *Gate {
	cfg := Config{
		Dir: filepath.Join(t.TempDir(), "egress"), HelperPath: helperBinary, Resolver: w, Dialer: w,
		Networks: func() ([]netip.Prefix, error) { return nil, nil },
	}
	for _, c := range change {
		c(&cfg)
	}
	g, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

func open(t *testing.T, g *Gate, id string, allow ...string) Wiring {
	w, err := g.Open(id, allow)
	require.NoError(t, err)
	return w
}

// raw connects to an execution's socket, as a hostile job may.
func raw(t *testing.T, w Wiring) *net.UnixConn {
	short, release, err := shorten(w.Mounts[1].Source)
	require.NoError(t, err)
	defer release()
	c, err := net.Dial("unix", filepath.Join(short, frame.SocketName))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(soon)))
	return c.(*net.UnixConn)
}

// ask asks for an entry and gives the connection and the node's answer.
func ask(t *testing.T, w Wiring, entry int) (*net.UnixConn, frame.Status) {
	c := raw(t, w)
	require.NoError(t, frame.WriteHeader(c, entry))
	status, err := frame.ReadStatus(c)
	require.NoError(t, err)
	return c, status
}

func connected(t *testing.T, w Wiring, entry int) *net.UnixConn {
	c, status := ask(t, w, entry)
	require.Equal(t, frame.Connected, status, status.String())
	return c
}
