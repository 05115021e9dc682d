//go:build dockertest

package hostile_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// canary is what outside must stay as it is: a process, a file, ears on the
// network, and settings of the machine.
type canary struct {
	process *exec.Cmd
	file    string
	secret  string
	ears    []net.Listener
	udp     net.PacketConn
	heard   atomic.Int64 // connections and datagrams
	sysv    int
	began   time.Time
	state   map[string]string
}

func newCanary(t *testing.T) *canary {
	c := &canary{secret: rand.Text(), began: time.Now(), sysv: int(time.Now().UnixNano() & 0x7fffffff)}
	c.file = filepath.Join(t.TempDir(), "hostile-canary")
	require.NoError(t, os.WriteFile(c.file, []byte(c.secret), 0o644)) // anyone may read it who gets there
	t.Setenv("SOUK_HOSTILE_SECRET", c.secret)
	c.process = exec.CommandContext(t.Context(), "sleep", "600")
	require.NoError(t, c.process.Start())
	t.Cleanup(func() { _ = c.process.Process.Kill(); _ = c.process.Wait() })
	c.listen(t, "tcp", ":0")
	c.listen(t, "unix", "@souk-hostile-"+c.secret)
	c.listenUDP(t)
	id, err := unix.SysvShmGet(c.sysv, 4096, unix.IPC_CREAT|0o666)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	c.state = machineState(t)
	return c
}

func (c *canary) listen(t *testing.T, network, address string) {
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	c.ears = append(c.ears, l)
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.heard.Add(1)
			conn.Close()
		}
	}()
}

func (c *canary) listenUDP(t *testing.T) {
	var err error
	c.udp, err = net.ListenPacket("udp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { c.udp.Close() })
	go func() { // ends with the socket
		b := make([]byte, 64)
		for {
			n, from, err := c.udp.ReadFrom(b)
			if err != nil {
				return
			}
			c.heard.Add(1)
			_, _ = c.udp.WriteTo(b[:n], from)
		}
	}()
}

// addresses are this machine's own, by which a job would reach it.
func addresses(t *testing.T) []string {
	found, err := net.InterfaceAddrs()
	require.NoError(t, err)
	var all []string
	for _, a := range found {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			all = append(all, n.IP.String())
		}
	}
	return all
}

// machineState is what of the machine a job might have changed for everybody.
func machineState(t *testing.T) map[string]string {
	state := map[string]string{}
	for _, path := range []string{
		"kernel/core_pattern", "kernel/hostname", "kernel/domainname", "kernel/modprobe", "kernel/sysrq", "kernel/panic", "kernel/pid_max",
		"kernel/randomize_va_space", "kernel/unprivileged_bpf_disabled", "vm/overcommit_memory", "vm/swappiness", "fs/suid_dumpable",
		"net/ipv4/ip_forward", "net/core/somaxconn", "user/max_user_namespaces",
	} {
		raw, _ := os.ReadFile("/proc/sys/" + path) // not every kernel has each
		state["/proc/sys/"+path] = string(raw)
	}
	for _, path := range []string{"/proc/swaps", "/proc/modules", "/etc/passwd", "/etc/shadow"} {
		raw, _ := os.ReadFile(path)
		state[path] = string(raw)
	}
	for _, program := range []string{"runc", "dockerd", "containerd"} {
		path, err := exec.LookPath(program)
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		sum := sha256.Sum256(raw)
		state[path] = hex.EncodeToString(sum[:])
	}
	segments, err := os.ReadFile("/proc/sysvipc/shm")
	require.NoError(t, err)
	state["shared memory of nobody"] = strconv.Itoa(strings.Count(string(segments), " 65534 "))
	var left []string
	for _, pattern := range []string{"/core*", "/hostile*", "/etc/hostile*", "/tmp/hostile-output*", "/var/run/hostile*"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		left = append(left, found...)
	}
	state["files left"] = strings.Join(left, " ")
	return state
}

// harm says in sentences what is not as it was.
func (c *canary) harm(t *testing.T) []string {
	var all []string
	if pid, err := unix.Wait4(c.process.Process.Pid, nil, unix.WNOHANG, nil); pid != 0 || err != nil {
		all = append(all, fmt.Sprintf("a process outside is gone: %v", err))
	}
	if raw, err := os.ReadFile(c.file); err != nil || string(raw) != c.secret {
		all = append(all, fmt.Sprintf("a file outside has changed: %q %v", raw, err))
	}
	if n := c.heard.Load(); n > 0 {
		all = append(all, fmt.Sprintf("%d connections or datagrams came out", n))
	}
	// The monotonic clock against the one that can be set.
	if off := time.Now().Round(0).Sub(c.began.Round(0)) - time.Since(c.began); off.Abs() > 2*time.Second {
		all = append(all, fmt.Sprintf("the clock was set by %v", off))
	}
	for name, now := range machineState(t) {
		if before := c.state[name]; now != before {
			all = append(all, fmt.Sprintf("%s was %q and is %q", name, before, now))
		}
	}
	return all
}
