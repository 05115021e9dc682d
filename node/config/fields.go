package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"souk/internal/money"
	"souk/internal/quantity"
	"souk/node/device"
	"souk/node/p2p"
	"souk/protocol/market"
)

// field is one key: what it means, what it is where nobody says, how it is read.
type field struct {
	key     string
	doc     string
	initial []string // nil: nothing
	list    bool
	blank   string // what holds where the value is 0 or empty, in words
	read    func(c *Config, text []string) error
}

// fields are all keys there are, in the order in which they are shown.
func fields() []field {
	return slices.Concat(networkFields(), providerFields(), deviceFields(), dockerFields(), clientFields())
}

func networkFields() []field {
	return []field{
		one("network", "the market to trade in; each network is a world of its own", "souk", readNetwork),
		many("bootstrap", "nodes to join by: multiaddrs with /p2p/PEER-ID, or /dnsaddr/NAME", func(c *Config, v []string) error { return addrs(&c.Bootstrap, v) }),
		many("listen", "multiaddrs to listen on, such as /ip4/0.0.0.0/udp/4001/quic-v1", func(c *Config, v []string) error { return addrs(&c.Listen, v) }).or("any free port"),
		one("mdns", "find peers on the local network", "true", func(c *Config, s string) error { return boolean(&c.MDNS, s) }),
		one("loopback", "never talk outside this machine (testnets)", "false", func(c *Config, s string) error { return boolean(&c.Loopback, s) }),
		one("region", "where this machine stands: any, eu, na, ap, sa, me or af", "any", readRegion),
		one("metrics", "TCP address to serve Prometheus' metrics at, such as 127.0.0.1:9464; none: they aren't", "", readMetrics),
		one("log_level", "what the node logs: debug, info, warn or error", "info", readLevel),
	}
}

func providerFields() []field {
	const p = "provider."
	return []field{
		one(p+"price", "asked per hour, such as 0.40/h; souk provide needs one", "", readPrice),
		one(p+"tick", "how often is paid, from 1s to 1h: what each side risks with a stranger", "60s", readTick),
		one(p+"cpu", "cores to lease out", "0", func(c *Config, s string) error { return whole(&c.Provider.CPU, s, market.MaxCPU) }).or("all"),
		one(p+"memory", "memory to lease out, such as 8GiB", "0", func(c *Config, s string) error { return size(&c.Provider.Memory, s) }).or("four fifths of what is there"),
		one(p+"disk", "disk to lease out", "0", func(c *Config, s string) error { return size(&c.Provider.Disk, s) }).or("four fifths of what is free"),
		one(p+"slots", "executions at one time", "0", func(c *Config, s string) error { return whole(&c.Provider.Slots, s, 4096) }).or("four per core"),
		many(p+"simulate_gpu", "GPUs to pretend to have, such as RTX 4090:2; nothing runs on them", readSimulated),
		list(p+"executors", "what runs jobs: wasm, docker, or auto, which is wasm, and docker where it works", []string{"auto"}, readExecutors),
		one(p+"max_time", "the longest running time of a lease", "24h", func(c *Config, s string) error {
			return duration(&c.Provider.MaxTime, s, time.Second, market.MaxLeaseMillis*time.Millisecond)
		}),
		one(p+"prepay_ticks", "ticks that a client pays ahead", "1", readPrepay),
		one(p+"cap_peer", "the most that one client may owe, in USD", "1.00", func(c *Config, s string) error { return amount(&c.Provider.CapPeer, s) }),
		one(p+"cap_total", "the most that all clients together may owe, in USD", "10.00", func(c *Config, s string) error { return amount(&c.Provider.CapTotal, s) }),
		one(p+"advertise_every", "how often the provider makes itself findable again", "30m", func(c *Config, s string) error {
			return duration(&c.Provider.AdvertiseEvery, s, time.Second, time.Hour)
		}),
		one(p+"challenge", "who may have the devices prove their speed: free (anybody, a few seconds), lease (under a running lease) or off", "free", readChallenge),
		one(p+"sandbox", "path of the souk-sandbox program", "", func(c *Config, s string) error {
			c.Provider.Sandbox = s
			return nil
		}).or("beside souk, else in $PATH"),
	}
}

func clientFields() []field {
	const p = "client."
	return []field{
		one(p+"cap_peer", "the most that one dishonest provider could keep, in USD", "5.00", func(c *Config, s string) error { return amount(&c.Client.CapPeer, s) }),
		one(p+"cap_total", "the most that all dishonest providers together could keep, in USD", "50.00", func(c *Config, s string) error { return amount(&c.Client.CapTotal, s) }),
		one(p+"lost_after", "how long a provider may be silent before its lease is given up; more than 10s", "60s", func(c *Config, s string) error {
			return duration(&c.Client.LostAfter, s, 11*time.Second, 24*time.Hour)
		}),
		one(p+"find", "how long providers are looked for", "8s", func(c *Config, s string) error { return duration(&c.Client.Find, s, time.Second, 5*time.Minute) }),
	}
}

func one(key, doc, initial string, read func(*Config, string) error) field {
	f := field{key: key, doc: doc, read: func(c *Config, v []string) error {
		if len(v) != 1 {
			return errors.New("one value is needed, not a list")
		}
		return read(c, strings.TrimSpace(v[0]))
	}}
	if initial != "" {
		f.initial = []string{initial}
	}
	return f
}

// or says what 0, or no value, stands for.
func (f field) or(blank string) field {
	word := "none"
	if f.initial != nil {
		word = "0"
	}
	f.doc, f.blank = f.doc+"; "+word+": "+blank, blank
	return f
}

func many(key, doc string, read func(*Config, []string) error) field {
	return list(key, doc, nil, read)
}

func list(key, doc string, initial []string, read func(*Config, []string) error) field {
	return field{key: key, doc: doc, list: true, initial: initial, read: read}
}

func readNetwork(c *Config, s string) error {
	c.Network = s
	return p2p.CheckNetwork(s)
}

func readRegion(c *Config, s string) error {
	valid := append([]string{"any"}, p2p.Regions()...)
	if !slices.Contains(valid, s) {
		return fmt.Errorf("%.40q is no region; use one of %s", s, strings.Join(valid, ", "))
	}
	c.Region = s
	return nil
}

func readLevel(c *Config, s string) error {
	if err := c.LogLevel.UnmarshalText([]byte(s)); err != nil || !slices.Contains([]string{"debug", "info", "warn", "error"}, s) {
		return fmt.Errorf("%.40q is no log level; use debug, info, warn or error", s)
	}
	return nil
}

func readPrice(c *Config, s string) error {
	if s == "" {
		c.Provider.Price = nil
		return nil
	}
	n, err := money.ParsePrice(s)
	if err != nil {
		return err
	}
	price := market.NewAmount(n)
	c.Provider.Price = &price
	return nil
}

func readTick(c *Config, s string) error {
	return duration(&c.Provider.Tick, s, market.MinTickMillis*time.Millisecond, market.MaxTickMillis*time.Millisecond)
}

func readSimulated(c *Config, v []string) error {
	c.Provider.SimulateGPU = v
	_, err := device.ParseSimulated(v...)
	return err
}

func readChallenge(c *Config, s string) error {
	if !slices.Contains([]string{"free", "lease", "off"}, s) {
		return fmt.Errorf("%.40q says of nobody that they may challenge; use free, lease or off", s)
	}
	c.Provider.Challenge = s
	return nil
}

func readPrepay(c *Config, s string) error {
	var n int
	if err := whole(&n, s, 100); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("it must be 1 at least: a client pays the first tick ahead")
	}
	c.Provider.PrepayTicks = uint32(n) //nolint:gosec // at most 100
	return nil
}

func addrs(to *[]string, v []string) error {
	for _, s := range v {
		if _, err := ma.NewMultiaddr(s); err != nil {
			return fmt.Errorf("%.100q is no multiaddr; write one such as /ip4/192.0.2.1/tcp/4001/p2p/PEER-ID or /dnsaddr/NAME", s)
		}
	}
	*to = v
	return nil
}

func boolean(to *bool, s string) error {
	if s != "true" && s != "false" {
		return fmt.Errorf("%.40q is neither true nor false", s)
	}
	*to = s == "true"
	return nil
}

func whole(to *int, s string, most int) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return fmt.Errorf("%.40q is not a whole number from 0 to %d", s, most)
	}
	*to = n
	return nil
}

func size(to *int64, s string) (err error) {
	*to, err = quantity.Meant(s)
	return err
}

func amount(to *market.Amount, s string) error {
	n, err := money.Parse(s)
	*to = market.NewAmount(n)
	return err
}

func duration(to *time.Duration, s string, least, most time.Duration) error {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return fmt.Errorf("%.40q is no time; write a number and a unit, such as 90s or 10m", s)
	case d < least || d > most:
		return fmt.Errorf("%s is not from %s to %s", d, least, most)
	}
	*to = d
	return nil
}

func readMetrics(c *Config, s string) error {
	c.Metrics = s
	if s == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
		return errors.New("write an address and a port, such as 127.0.0.1:9464")
	}
	return nil
}
