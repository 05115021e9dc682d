package egress

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/executor/docker/egress/frame"
)

func TestAJobReachesItsListAndItIsCounted(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	w.serve(t, "other.example", "93.184.216.35:80", func(c *net.TCPConn) { io.WriteString(c, "other") }) //nolint:errcheck // the test reads it
	g := w.gate(t)
	wiring := open(t, g, "job1", "example.com:443", "other.example:80")

	sent := make([]byte, 300<<10)
	rand.Read(sent)
	c := connected(t, wiring, 0)
	go func() {
		c.Write(sent)  //nolint:errcheck // the test reads it
		c.CloseWrite() //nolint:errcheck // as above
	}()
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.True(t, bytes.Equal(sent, got))
	got, err = io.ReadAll(connected(t, wiring, 1))
	require.NoError(t, err)
	require.Equal(t, "other", string(got))

	require.Equal(t, []Traffic{
		{Target{"example.com", 443}, 1, 0, 300 << 10, 300 << 10},
		{Target{"other.example", 80}, 1, 0, 0, 5},
	}, g.Traffic("job1"))
	require.Equal(t, []string{"example.com.", "other.example."}, w.asked, "with the final dot, no search domain is tried")
	require.NoError(t, wiring.Close())
	require.NoDirExists(t, wiring.Mounts[1].Source)
	require.Nil(t, g.Traffic("job1"))
}

func TestWiring(t *testing.T) {
	g := newWorld().gate(t)
	w := open(t, g, "job1", "a.example:443", "b.example:443", "A.example:80")
	require.Equal(t, []string{"a.example:127.0.0.2", "b.example:127.0.0.3"}, w.ExtraHosts)
	require.Equal(t, []string{"/.souk/souk-egress", "a.example:443=127.0.0.2", "b.example:443=127.0.0.3", "a.example:80=127.0.0.2", "--"}, w.EntrypointPrefix)
	require.Equal(t, []Mount{{helperBinary, "/.souk/souk-egress"}, {filepath.Join(g.cfg.Dir, "job1"), "/.souk/egress"}}, w.Mounts)
	dir, err := os.Stat(g.cfg.Dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), dir.Mode().Perm(), "other users of this machine may not connect")
	socket, err := os.Stat(filepath.Join(w.Mounts[1].Source, "socket"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o666), socket.Mode().Perm(), "a job may run as any user")
}

func TestNamesThatLeadInsideAreRefused(t *testing.T) {
	w := newWorld()
	for name, addrs := range map[string][]string{
		"inside.example.":   {"10.0.0.1", "192.168.1.1", "::1", "fd00::1"},
		"metadata.example.": {"169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"},
		"self.example.":     {"93.184.216.99"},
		"external.example.": {"1.2.3.4"},
		"denied.example.":   {"8.8.8.8"},
		"nothing.example.":  {},
	} {
		w.names[name] = addrs
	}
	g := w.gate(t, func(c *Config) {
		c.Networks = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("93.184.216.99/32")}, nil }
		c.External = func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("::ffff:1.2.3.4"), {}} }
		c.Deny = []netip.Prefix{netip.MustParsePrefix("8.8.8.0/24")}
	})
	wiring := open(t, g, "job1", "inside.example:80", "metadata.example:80", "self.example:80", "external.example:80", "denied.example:53", "nothing.example:1", "unknown.example:1")
	for entry := range 5 {
		_, status := ask(t, wiring, entry)
		require.Equal(t, frame.Forbidden, status, "entry %d", entry)
	}
	for entry := 5; entry < 7; entry++ {
		_, status := ask(t, wiring, entry)
		require.Equal(t, frame.Unknown, status, "entry %d", entry)
	}
	require.Empty(t, w.dials())
	require.Equal(t, uint64(1), g.Traffic("job1")[0].Refused)
}

func TestOnlyPublicAddressesOfANameAreDialled(t *testing.T) {
	w := newWorld()
	w.names["mixed.example."] = []string{"127.0.0.1", "9.9.9.9", "10.1.1.1"}
	w.serve(t, "mixed.example", "93.184.216.34:80", echo)
	wiring := open(t, w.gate(t), "job1", "mixed.example:80", "mixed.example:81")
	connected(t, wiring, 0)
	require.Equal(t, []string{"9.9.9.9:80", "93.184.216.34:80"}, w.dials(), "the next address where one doesn't answer")
	_, status := ask(t, wiring, 1)
	require.Equal(t, frame.Unreachable, status)
}

// A name that is public when looked up and local when dialled: the dialer
// judges on its own.
func TestTheAddressIsJudgedAgainAsItIsDialled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	g := newWorld().gate(t, func(c *Config) { c.Dialer = nil })
	for _, address := range []string{"127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "::1"} {
		port := netip.MustParseAddrPort(l.Addr().String()).Port()
		_, err = g.dial(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(address), port))
		var refused *AddressError
		require.ErrorAs(t, err, &refused, address)
	}
}

func TestAfterARestartTheSameSocketIsServed(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	dir := filepath.Join(t.TempDir(), "egress")
	at := func(c *Config) { c.Dir = dir }
	first := w.gate(t, at)
	wiring := open(t, first, "job1", "example.com:443")
	mounted, err := os.Stat(wiring.Mounts[1].Source)
	require.NoError(t, err)
	c := connected(t, wiring, 0)
	require.NoError(t, first.Close())
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err, "connections end with their node")
	require.NoError(t, wiring.Close(), "a container that outlives its node keeps its folder")
	_, err = first.Open("job2", []string{"example.com:443"})
	require.ErrorContains(t, err, "closed")

	second := w.gate(t, at)
	again := open(t, second, "job1", "example.com:443")
	require.Equal(t, wiring.EntrypointPrefix, again.EntrypointPrefix)
	connected(t, again, 0)
	now, err := os.Stat(again.Mounts[1].Source)
	require.NoError(t, err)
	require.True(t, os.SameFile(mounted, now), "the container sees the folder that was mounted at its start")
	_, err = second.Open("job1", []string{"example.com:443"})
	require.ErrorContains(t, err, "already")

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "left", "x"), 0o755))
	require.NoError(t, second.Sweep())
	require.NoDirExists(t, filepath.Join(dir, "left"))
	connected(t, again, 0)
}

func TestLongFolders(t *testing.T) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40), "egress")
	g := w.gate(t, func(c *Config) { c.Dir = dir })
	connected(t, open(t, g, "job1", "example.com:443"), 0)
}

func TestOpenRefuses(t *testing.T) {
	g := newWorld().gate(t)
	for _, id := range []string{"", "..", "a/b", "A", strings.Repeat("a", 129)} {
		_, err := g.Open(id, []string{"example.com:443"})
		require.ErrorContains(t, err, "names no execution", "%q", id)
	}
	_, err := g.Open("job1", []string{"10.0.0.1:22"})
	require.ErrorContains(t, err, "names an address")
	require.NoDirExists(t, filepath.Join(g.cfg.Dir, "job1"))
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	dynamic := filepath.Join(dir, "not-a-program")
	require.NoError(t, os.WriteFile(dynamic, []byte("#!/bin/sh\n"), 0o755))
	private := filepath.Join(dir, "private")
	require.NoError(t, os.WriteFile(private, []byte("x"), 0o700))
	for why, cfg := range map[string]Config{
		"needs a folder":      {},
		"below 65536":         {Dir: dir, Limits: Limits{BytesPerSecond: 1}},
		"negative":            {Dir: dir, Limits: Limits{Connections: -1}},
		"is not a program":    {Dir: dir, HelperPath: dir},
		"not a Linux program": {Dir: dir, HelperPath: dynamic},
		"chmod 755":           {Dir: dir, HelperPath: private},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, why)
	}
}

func TestCheckRuntime(t *testing.T) {
	require.NoError(t, CheckRuntime("runc", "runc", nil))
	require.NoError(t, CheckRuntime("nvidia", "/usr/bin/nvidia-container-runtime", nil))
	require.NoError(t, CheckRuntime("runsc", "", nil), "nothing is known of a shim's settings")
	for _, args := range [][]string{{"--host-uds=open"}, {"--debug", "-host-uds=all"}, {"--host-uds", "open"}} {
		require.NoError(t, CheckRuntime("runsc", "/usr/bin/runsc", args), args)
	}
	for _, args := range [][]string{nil, {"--host-uds=none"}, {"--host-uds=create"}, {"--host-uds"}, {"--debug=open"}} {
		require.ErrorContains(t, CheckRuntime("gvisor", "/usr/bin/runsc", args), "--host-uds=open", args)
	}
}
