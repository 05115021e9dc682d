//go:build cgo && linux

package testnet_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeDriver is testdata/driver's library, built once: no GPU is where tests
// run, so it stands in for NVIDIA's. It is loaded as that one is.
var fakeDriver = sync.OnceValues(func() ([]byte, error) {
	var said [2]string
	for i, args := range [][]string{{"env", "CC"}, {"list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml"}} {
		out, err := exec.Command("go", args...).Output() //nolint:gosec // the tests' own
		if err != nil {
			return nil, err
		}
		said[i] = strings.TrimSpace(string(out))
	}
	library := filepath.Join(built.dir, "driver.so")
	args := append(strings.Fields(said[0]), "-shared", "-fPIC", "-O1", "-Wno-deprecated-declarations", "-I", filepath.Join(said[1], "pkg/nvml"), "-o", library, "testdata/driver/nvml.c")
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil { //nolint:gosec // the tests' own
		return nil, fmt.Errorf("build the fake driver: %w: %s", err, out)
	}
	return os.ReadFile(library) //nolint:gosec // the tests' own
})

// What NVML answers.
const (
	isLost          = 15
	versionMismatch = 18
)

// card is a GPU of the fake driver.
type card struct {
	id, model             string
	mib, used             int // memory
	percent, screen, user int
	status                int // isLost
	parts                 []part
	xids                  []int // in the order in which they happen
}

// part is an instance of a GPU.
type part struct {
	id, profile string
	mib         int
}

// driver is an installed fake driver.
type driver struct {
	t       *testing.T
	dir     string
	init    int // versionMismatch: nothing can start using it
	version string
	cards   []*card
}

// newDriver installs one with a GPU of each model. No two drivers have one GPU
// in common: a GPU is offered once on this machine.
func newDriver(t *testing.T, models ...string) *driver {
	t.Helper()
	d := &driver{t: t, dir: t.TempDir(), version: "550.54.15"}
	d.install()
	d.toolkit("1.17.8")
	for i, model := range models {
		d.cards = append(d.cards, &card{id: fmt.Sprintf("GPU-%s-%d-%d", t.Name(), os.Getpid(), i), model: "NVIDIA " + model, mib: 24 << 10, used: 400})
	}
	d.now(func() {})
	return d
}

// install puts the library in place, of which one that runs keeps the old one.
func (d *driver) install() {
	d.t.Helper()
	library, err := fakeDriver()
	require.NoError(d.t, err)
	d.replace("libnvidia-ml.so.1", library)
}

// named is the GPU of a model.
func (d *driver) named(model string) *card {
	for _, c := range d.cards {
		if strings.HasSuffix(c.model, model) {
			return c
		}
	}
	return nil
}

// env has a process find this driver.
func (d *driver) env() []string {
	return []string{"LD_LIBRARY_PATH=" + d.dir, "FAKE_DRIVER=" + filepath.Join(d.dir, "state"), "PATH=" + d.dir + ":" + os.Getenv("PATH")}
}

// toolkit puts a program in place that says which NVIDIA container toolkit
// this is; of the real one souk asks no more.
func (d *driver) toolkit(version string) {
	d.t.Helper()
	d.replace("nvidia-ctk", []byte("#!/bin/sh\necho NVIDIA Container Toolkit CLI version "+version+"\n"))
	require.NoError(d.t, os.Chmod(filepath.Join(d.dir, "nvidia-ctk"), 0o700)) //nolint:gosec // it is run
}

// now changes what the driver tells from now on.
func (d *driver) now(change func()) {
	d.t.Helper()
	change()
	var b strings.Builder
	fmt.Fprintf(&b, "init %d\ndriver %s\n", d.init, d.version)
	for i, c := range d.cards {
		fmt.Fprintf(&b, "gpu %d %s %x %d %d %d %d %d %s\n", c.status, c.id, 0x41+i, c.mib, c.used, c.percent, c.screen, c.user, c.model)
		for _, p := range c.parts {
			fmt.Fprintf(&b, "part %s %d %s MIG %s\n", p.id, p.mib, c.model, p.profile)
		}
		for n, xid := range c.xids {
			fmt.Fprintf(&b, "xid %d %d\n", n+1, xid)
		}
	}
	d.replace("state", []byte(b.String()))
}

func (d *driver) replace(name string, content []byte) {
	d.t.Helper()
	fresh := filepath.Join(d.dir, "fresh")
	require.NoError(d.t, os.WriteFile(fresh, content, 0o600))
	require.NoError(d.t, os.Rename(fresh, filepath.Join(d.dir, name)))
}
