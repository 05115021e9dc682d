package node

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics tells Prometheus what a node does now: all of it is read when it is
// asked for. Figures of Go, of the process and of libp2p stand beside it.
type metrics struct {
	n                               *Node
	info, leases, cpu, memory, disk *prometheus.Desc
	device                          deviceMetrics
}

// deviceMetrics are of each device that was found, offered or not.
type deviceMetrics struct {
	offered, leases, memory, used, utilisation, celsius, watts *prometheus.Desc
}

func newMetrics(n *Node) *metrics {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("souk_"+name, help, labels, nil)
	}
	of := func(name, help string) *prometheus.Desc { return d("device_"+name, help, "device", "model") }
	return &metrics{
		n:      n,
		info:   d("info", "1; which node this is", "peer", "network", "version"),
		leases: d("leases", "leases that this provider runs"),
		cpu:    d("free_cpu_cores", "cores that no lease has"),
		memory: d("free_memory_bytes", "memory that no lease has"),
		disk:   d("free_disk_bytes", "disk that no lease has"),
		device: deviceMetrics{
			offered:     of("offered", "1 if nothing speaks against leasing the device out"),
			leases:      of("leases", "leases that have the device"),
			memory:      of("memory_bytes", "memory of the device"),
			used:        of("memory_used_bytes", "memory of the device in use, by whomever"),
			utilisation: of("utilisation_ratio", "part of the last moment in which something ran on the device"),
			celsius:     of("temperature_celsius", "temperature of the device"),
			watts:       of("power_watts", "power that the device draws"),
		},
	}
}

// Describe names no metric: a node without devices has fewer of them.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads them all.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	tell(out, m.info, 1, m.n.ID().String(), m.n.cfg.Network, m.n.cfg.Version)
	s := m.n.supply
	if s == nil {
		return
	}
	o := s.provider.Offer()
	tell(out, m.leases, float64(s.provider.Live()))
	tell(out, m.cpu, float64(o.CPU))
	tell(out, m.memory, float64(o.Memory))
	tell(out, m.disk, float64(o.Disk))
	m.device.collect(out, s.stock)
}

func (m *deviceMetrics) collect(out chan<- prometheus.Metric, s *stock) {
	for _, f := range s.inventory.Latest() {
		labels := []string{f.Device.ID, f.Device.Model}
		offered := 0.0
		if f.Offered() {
			offered = 1
		}
		tell(out, m.offered, offered, labels...)
		tell(out, m.leases, float64(len(s.free.Holders(f.Device.ID))), labels...)
		tell(out, m.memory, float64(f.Device.VRAM), labels...)
		if f.Use.At.IsZero() {
			continue // nobody reads the use of this one
		}
		tell(out, m.used, float64(f.Use.Memory), labels...)
		tell(out, m.utilisation, float64(f.Use.Utilisation)/100, labels...)
		tell(out, m.celsius, float64(f.Use.Celsius), labels...)
		tell(out, m.watts, float64(f.Use.Watts), labels...)
	}
}

func tell(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// serveMetrics serves them at an address until the node closes.
func (n *Node) serveMetrics(address string) error {
	own := prometheus.NewRegistry()
	if err := own.Register(newMetrics(n)); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("metrics can't be served at %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{prometheus.DefaultGatherer, own}, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	n.cfg.Log.Info("metrics are served", "url", "http://"+l.Addr().String()+"/metrics")
	n.onClose(func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
	return nil
}
