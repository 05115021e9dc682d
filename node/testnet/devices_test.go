//go:build cgo && linux

package testnet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// home is a data directory with a config file.
func home(t *testing.T, config string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "souk-gpu") // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600))
	return dir
}

// souk runs a command to its end, which finds this driver.
func (d *driver) souk(dir string, args ...string) *command {
	d.t.Helper()
	c := startWith(d.t, d.env(), built.souk, append([]string{"--data-dir", dir}, args...)...)
	c.wait()
	return c
}

// lone is a provider that nobody else can find.
type lone struct {
	*command
	dir string
}

func (d *driver) provide(dir string) *lone {
	d.t.Helper()
	l := &lone{startWith(d.t, d.env(), built.souk, "--data-dir", dir, "provide", "--price", "0.10/h"), dir}
	d.t.Cleanup(func() {
		l.close()
		if d.t.Failed() {
			d.t.Log(l.said())
		}
	})
	eventually(d.t, "it is up", func() bool { return strings.Contains(l.out.String(), "\nasks ") || !l.running() })
	require.True(d.t, l.running(), l.said())
	return l
}

// fresh starts one with a data directory of its own.
func (d *driver) fresh() *lone {
	d.t.Helper()
	dir := home(d.t, "network: alone\nloopback: true\nmdns: false\n")
	souk(d.t, dir, "init").ends(0)
	return d.provide(dir)
}

func (l *lone) close() {
	if l.running() {
		l.signal(syscall.SIGINT)
		l.wait()
	}
}

// tells waits until the provider's owner has read a sentence.
func (l *lone) tells(format string, args ...any) {
	l.t.Helper()
	sentence := fmt.Sprintf(format, args...)
	eventually(l.t, "it tells: "+sentence, func() bool { return strings.Contains(l.out.String(), "trouble   "+sentence) })
}

// status is what the node says of itself.
func (l *lone) status() string {
	l.t.Helper()
	return souk(l.t, l.dir, "node", "status").ends(0).out.String()
}

func TestDevicesSayWhyTheyAreNotOffered(t *testing.T) {
	t.Parallel()
	d := newDriver(t, "GeForce RTX 4090", "GeForce RTX 5090", "GeForce RTX 3090", "RTX A4000", "L40S", "Tesla T4")
	d.now(func() {
		d.cards[1].used, d.cards[1].user = 9000, 4242
		d.cards[2].percent = 60
		d.cards[3].screen = 1
		d.cards[5].status = isLost
	})
	dir := home(t, "devices: {reserve: [l40s]}\n")
	why := []string{
		"yes",
		"no: 8.7GiB of its memory are in use by process 4242, and 1GiB may be (devices.busy_memory)",
		"no: it computes 60 % of the time, and 25 % counts as busy",
		"no: it shows somebody's screen; devices.display: true offers it all the same",
		"no: devices.reserve keeps it for its owner",
		"no: NVIDIA's driver has lost it: it fell off the bus; start the machine anew",
	}
	shown := d.souk(dir, "devices").ends(0)
	rows := strings.Split(strings.TrimSpace(shown.out.String()), "\n")[1:]
	require.Len(t, rows, len(why))
	for i, row := range rows {
		require.True(t, strings.HasPrefix(row, fmt.Sprint(i)) && strings.HasSuffix(row, "  "+why[i]), row)
	}
	require.Regexp(t, `^0 +NVIDIA GeForce RTX 4090 +rtx-4090 +24GiB +nvidia 550\.54\.15 +0% 400MiB 40°C 60W +`+d.cards[0].id+` +yes$`, rows[0])
	require.Regexp(t, `(?m)^nvidia-5 .* NVIDIA's driver has lost it: it fell off the bus; start the machine anew *$`, d.souk(dir, "bench", "device").ends(1).out.String())
	mistyped := startWith(t, append(d.env(), "SOUK_DEVICES_RESERVE=l40s,9"), built.souk, "--data-dir", dir, "devices").ends(0)
	require.Contains(t, mistyped.err.String(), "devices.reserve names 9, and no device here is called so: none is offered")
	require.NotRegexp(t, `(?m) yes$`, mistyped.out.String())

	d.toolkit("1.17.7")
	require.Contains(t, d.souk(dir, "devices").ends(0).out.String(),
		"no: nvidia-container-toolkit 1.17.7 lets images run code as root on this machine (CVE-2025-23266), so no NVIDIA device may be leased to a container: install 1.17.8 or newer")
	bare := startWith(t, append(d.env(), "PATH=/nowhere"), built.souk, "--data-dir", dir, "devices").ends(0)
	require.Contains(t, bare.out.String(), "no: nvidia-ctk is not here, so no NVIDIA device can be passed into a container: install nvidia-container-toolkit 1.17.8 or newer")
	wasm := startWith(t, append(d.env(), "SOUK_PROVIDER_EXECUTORS=wasm"), built.souk, "--data-dir", dir, "devices").ends(0)
	require.Contains(t, wasm.out.String(), "no: provider.executors leaves docker out, and a WASM job can't use a GPU")
	d.toolkit("1.17.8")
	d.now(func() { d.version = "390.157" })
	require.Contains(t, d.souk(dir, "devices").ends(0).out.String(), "no: the driver is 390.157; install 450 or newer")
	d.now(func() { d.init = versionMismatch })
	require.Contains(t, d.souk(dir, "devices").ends(0).err.String(),
		"NVIDIA: starting NVIDIA's library: the driver in the kernel and its library are of different versions; start the machine anew")
}

// A node goes on with the library that it has loaded. What it would start gets
// the new one, which doesn't fit the driver in the kernel.
func TestADriverIsUpgradedUnderANode(t *testing.T) {
	t.Parallel()
	const different = "the driver in the kernel and its library are of different versions; start the machine anew"
	d := newDriver(t, "GeForce RTX 4090")
	l := d.fresh()
	require.Contains(t, l.status(), "offers   1x NVIDIA GeForce RTX 4090 24GiB (claimed)")
	d.install()
	d.now(func() { d.init = versionMismatch })
	l.tells("NVIDIA GeForce RTX 4090 (%s) is gone: the library in use was removed from the disk: %s; leases that it ends: 0", d.cards[0].id, different)
	require.Contains(t, l.status(), "offers   CPU only")
	require.Contains(t, l.status(), "lacks    looking for devices with nvml: the library in use was removed from the disk: "+different)

	require.Contains(t, souk(t, l.dir, "doctor").ends(1).out.String(), "looking for devices with nvml: the library in use was removed")

	l.close()
	l = d.provide(l.dir)
	require.Contains(t, l.out.String(), "offers   CPU only")
	require.Contains(t, l.out.String(), "lacks    looking for devices with nvml: starting NVIDIA's library: "+different)
	d.now(func() { d.init = 0 })
	l.tells("NVIDIA GeForce RTX 4090 (%s) is offered now", d.cards[0].id)
	require.Contains(t, l.status(), "offers   1x NVIDIA GeForce RTX 4090 24GiB (claimed)")
	require.NotContains(t, l.status(), different)
}

func TestAGPUIsPartitionedUnderANode(t *testing.T) {
	t.Parallel()
	d := newDriver(t, "A100-SXM4-24GB")
	whole := d.cards[0]
	l := d.fresh()
	d.now(func() { whole.parts = []part{{whole.id + "-half", "3g.12gb", 12 << 10}} })
	l.tells("%s (%s) is gone: MIG is on: its instances are leased instead (nvidia-smi mig -lgi lists them)", whole.model, whole.id)
	l.tells("%s MIG 3g.12gb (%s-half) is offered now", whole.model, whole.id)
	require.Contains(t, l.status(), "offers   1x NVIDIA A100-SXM4-24GB MIG 3g.12gb 12GiB (claimed), ")

	d.now(func() {
		whole.parts = []part{{whole.id + "-x", "1g.6gb", 6 << 10}, {whole.id + "-y", "1g.6gb", 6 << 10}}
	})
	l.tells("%s MIG 3g.12gb (%s-half) is gone: its driver doesn't list it any more: it fell off the bus, or was partitioned anew or taken away", whole.model, whole.id)
	require.Contains(t, l.status(), "offers   2x NVIDIA A100-SXM4-24GB MIG 1g.6gb 6GiB (claimed), ")
}

func TestTwoNodesWantOneGPU(t *testing.T) {
	t.Parallel()
	d := newDriver(t, "GeForce RTX 5090")
	first := d.fresh()
	held := fmt.Sprintf("process %d (souk) offers it; stop that one, or name the device in devices.reserve of one of the two", first.cmd.Process.Pid)
	second := d.fresh()
	require.Contains(t, second.out.String(), "offers   CPU only")
	require.Contains(t, second.out.String(), fmt.Sprintf("lacks    NVIDIA GeForce RTX 5090 (%s): %s", d.cards[0].id, held))
	require.Contains(t, d.souk(second.dir, "devices").ends(0).out.String(), "no: "+held)
	require.Regexp(t, ` yes\n$`, d.souk(first.dir, "devices").ends(0).out.String())
	require.Contains(t, d.souk(second.dir, "bench", "device").ends(1).out.String(), held)

	first.close()
	second.tells("NVIDIA GeForce RTX 5090 (%s) is offered now", d.cards[0].id)
}
