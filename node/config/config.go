// Package config reads how a node is set up: the file in its data directory,
// then the environment (SOUK_…), then flags, each laid over what came before.
//
// It promises to know where each value came from, to refuse a key that doesn't
// exist and name its line and the key that was probably meant, to check every
// value's form before a node sees it, and that the file which Template writes
// says what every key means and changes nothing. It never writes the
// environment, never reads secrets, and keeps no global state.
package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"

	"souk/protocol/market"
)

// FileName is the name of the config file in a data directory.
const FileName = "config.yaml"

// DirEnv names the data directory where no flag does.
const DirEnv = "SOUK_DATA_DIR"

// Config is how a node is set up. Sizes are bytes; amounts are millionths of a dollar.
type Config struct {
	DataDir   string
	Network   string
	Bootstrap []string // multiaddrs with /p2p/ID, or /dnsaddr/NAME
	Listen    []string // multiaddrs; empty: any free port
	MDNS      bool
	Loopback  bool // nothing leaves this machine
	Region    string
	LogLevel  slog.Level
	Metrics   string // TCP address; empty: none are served
	Provider  Provider
	Devices   Devices
	Docker    Docker
	Client    Client
}

// Docker is how a provider runs container images. Zero limits mean the executor's.
type Docker struct {
	Host       string
	AllowRunc  bool
	Runtime    string
	Pull       bool
	MaxImage   int64 // bytes of one image
	Cache      int64 // bytes of images that are kept
	Auth       string
	Registries []string
	Egress     bool   // to public places that a lease names
	InitPath   string // of souk-init
	EgressPath string // of souk-egress
}

// Provider is what a node leases out. Zero figures of the machine mean what it has.
type Provider struct {
	Price          *market.Amount // per hour; nil: none was named
	Tick           time.Duration
	CPU            int
	Memory         int64
	Disk           int64
	Slots          int // executions at one time
	SimulateGPU    []string
	Executors      []string
	MaxTime        time.Duration // longest running time of a lease
	PrepayTicks    uint32
	CapPeer        market.Amount // credit to one client, in money
	CapTotal       market.Amount // credit to all clients together
	AdvertiseEvery time.Duration
	Sandbox        string // path of souk-sandbox; empty: beside souk, else in $PATH
	Challenge      string // whose challenges of its devices are answered: "free", "lease" or "off"
}

// Client is how a node leases from others.
type Client struct {
	CapPeer   market.Amount // signed above what was received, with one provider
	CapTotal  market.Amount // and with all together
	LostAfter time.Duration // silence after which a provider counts as lost
	Find      time.Duration // how long providers are looked for
}

// Dir is the data directory, and where its name came from: a flag, the
// environment or the XDG base directories.
func Dir(flag string, getenv func(string) string) (dir, origin string) {
	dir, origin = flag, "--data-dir"
	if dir == "" {
		dir, origin = getenv(DirEnv), DirEnv
	}
	if dir == "" {
		dir, origin = filepath.Join(xdg.DataHome, "souk"), "default"
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return dir, origin
}

// File is the path of the config file in a data directory.
func File(dir string) string { return filepath.Join(dir, FileName) }

// WriteTemplate writes the commented config file into dir where none is yet,
// and tells whether it did.
func WriteTemplate(dir string) (written bool, err error) {
	f, err := os.OpenFile(File(dir), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := f.Write(Template()); err != nil {
		_ = f.Close()
		return false, err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return false, err
	}
	return true, f.Close()
}
