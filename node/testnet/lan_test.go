//go:build lantest

package testnet_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/control"
)

// cutWithin is how long two machines may take to see that they are apart, and
// to find each other again: libp2p notices after half a minute or so.
const cutWithin = 3 * time.Minute

// Two machines on one local network meet by mDNS alone, though each has more
// bridges of Docker than an offer has addresses, with the same addresses on
// them, and one more card that leads nowhere.
func TestTwoMachinesOnOneLocalNetwork(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	provider, client, copied := l.dir("provider"), l.dir("client"), l.dir("copied")
	l.start("a", provider, "provide", "--price", "0.01/h", "--simulate-gpu", "RTX 4090")
	l.lists(client, provider)
	ran := souk(t, client, "run", "-y", "--max-price", "1/h", "--outputs", "/out", "-o", filepath.Join(t.TempDir(), "out"), "--", built.hello).ends(0)

	t.Log("a cable is drawn, and put in again")
	l.cable("down")
	apart := l.status(client, "nobody can find this node")
	l.cable("up")
	l.lists(client, provider)

	t.Log("a third one has the first one's key")
	key, err := os.ReadFile(filepath.Join(provider, "key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(copied, "key"), key, 0o600))
	l.start("b", copied, "node", "run")
	const twin = "another node with this node's key runs on the local network (10.77.0.%d), and others take the two for one: stop one of them"
	status := l.status(copied, fmt.Sprintf(twin, 1))
	l.status(provider, fmt.Sprintf(twin, 2))
	doctor := souk(t, copied, "doctor").ends(1)
	readPage(t).shows(t, twoMachines, ran.seen()+apart.seen()+status.seen()+doctor.seen())
}

// lan is two machines, a and b: network namespaces, joined by a bridge in a third.
type lan struct {
	t    *testing.T
	name string // what the namespaces' names begin with
}

// newLAN needs root and the program ip.
func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t: t, name: fmt.Sprintf("souk%d", os.Getpid())}
	t.Cleanup(func() {
		for _, m := range []string{"a", "b", "switch"} {
			_ = exec.Command("ip", "netns", "del", l.name+m).Run() //nolint:gosec // the test's own; may never have been made
		}
	})
	require.NoError(t, l.ip("netns", "add", l.name+"switch"))
	made := []string{"link add br0 type bridge", "link set br0 up"}
	for _, m := range []string{"a", "b"} {
		require.NoError(t, l.ip("netns", "add", l.name+m))
		made = append(made, fmt.Sprintf("link add port-%s type veth peer name eth0 netns %s%s", m, l.name, m), "link set port-"+m+" master br0", "link set port-"+m+" up")
	}
	l.do("switch", made...)
	for i, m := range []string{"a", "b"} {
		var own []string
		for n := range 12 {
			name := "docker0"
			if n > 0 {
				name = fmt.Sprintf("br-%012x", n)
			}
			own = append(own, "link add "+name+" type bridge", fmt.Sprintf("addr add 172.%d.0.1/16 dev %s", 17+n, name), "link set "+name+" up")
		}
		own = append(own, "link set lo up", "link add eth1 type bridge", "addr add 10.66.0.1/24 dev eth1", "link set eth1 up",
			fmt.Sprintf("addr add 10.77.0.%d/24 dev eth0", i+1), "link set eth0 up")
		l.do(m, own...)
	}
	return l
}

func (l *lan) ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput() //nolint:gosec // the test's own
	if err != nil {
		l.t.Logf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return err
}

// do runs commands of ip within a namespace.
func (l *lan) do(machine string, commands ...string) {
	l.t.Helper()
	for _, c := range commands {
		require.NoError(l.t, l.ip(append([]string{"-n", l.name + machine}, strings.Fields(c)...)...))
	}
}

func (l *lan) cable(state string) {
	l.t.Helper()
	l.do("switch", "link set port-a "+state)
}

// dir is a data directory with the defaults, as `souk init` makes it.
func (l *lan) dir(name string) string {
	l.t.Helper()
	dir, err := os.MkdirTemp("", "souk-lan-"+name)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { require.NoError(l.t, os.RemoveAll(dir)) })
	souk(l.t, dir, "init").ends(0)
	return dir
}

// start starts souk on a machine. It ends with the test.
func (l *lan) start(machine, dir string, args ...string) {
	l.t.Helper()
	startProgram(l.t, "ip", append([]string{"netns", "exec", l.name + machine, built.souk, "--data-dir", dir}, args...)...)
	eventually(l.t, "it is up", func() bool { return souk(l.t, dir, "node", "status").wait() == 0 })
}

// lists waits until the client on b lists the provider.
func (l *lan) lists(client, provider string) {
	l.t.Helper()
	if souk(l.t, client, "node", "status").wait() != 0 {
		l.start("b", client, "node", "run")
	}
	id := peerOf(l.t, provider)
	l.eventually("the provider is found", func() bool {
		return strings.Contains(souk(l.t, client, "offers", "--allow-simulated", "--json").out.String(), id)
	})
}

// status waits until node status says something.
func (l *lan) status(dir, says string) (status *command) {
	l.t.Helper()
	l.eventually("node status says: "+says, func() bool {
		status = souk(l.t, dir, "node", "status")
		return strings.Contains(status.out.String(), says)
	})
	return status
}

func (l *lan) eventually(what string, condition func() bool) {
	l.t.Helper()
	require.Eventually(l.t, condition, cutWithin, 10*lookAgain, what)
}

func peerOf(t *testing.T, dir string) string {
	t.Helper()
	st, err := control.NewClient(dir).Status(t.Context())
	require.NoError(t, err)
	return st.Peer
}
