package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"souk/node/control"
	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/docker/egress"
	"souk/node/executor/wasm"
	"souk/node/provider"
	"souk/protocol/market"
)

// AutoExecutors stands for WASM, and Docker where it works.
const AutoExecutors = "auto"

// containersDir is the docker executor's folder in the data directory.
const containersDir = "containers"

// Docker says how a provider runs container images.
type Docker struct {
	Host       string // empty: $DOCKER_HOST, else the default socket
	AllowRunc  bool   // strangers' jobs may share this machine's kernel
	Runtime    string // empty: runsc where installed, else runc if allowed
	NoPull     bool   // take only archives, and images that souk brought before
	MaxImage   int64  // bytes of one image; 0: 64 GiB
	Cache      int64  // bytes of images that are kept; 0: 100 GiB
	Auth       string // path of a Docker config.json with registry credentials
	Registries []string
	Egress     bool   // jobs may connect to the public places that their leases name
	InitPath   string // of souk-init; empty: beside this program, else in $PATH
	EgressPath string // of souk-egress; empty: beside this program, else in $PATH
}

// equip makes the executors. WASM is there in any case: speed is measured by it.
func (s *supply) equip(ctx context.Context, n *Node, c Provide) (err error) {
	s.wasm, err = wasm.New(wasm.Config{
		Dir: n.path("executions"), SandboxPath: c.SandboxPath, Source: n.blobs, Spares: c.Spares, Log: n.cfg.Log,
	})
	if err != nil {
		return err
	}
	n.onClose(func() error { return s.wasm.Close(true) })
	auto := c.auto()
	if auto || slices.Contains(c.Executors, market.KindWASM) {
		s.executors = append(s.executors, s.wasm)
	}
	named := slices.Contains(c.Executors, market.KindDocker)
	if !auto && !named {
		return nil
	}
	d, err := n.docker(c.Docker)
	if err == nil {
		n.onClose(func() error { return d.Close(true) })
		s.executors = append(s.executors, d)
		limited, cancel := context.WithTimeout(ctx, provider.CheckTimeout)
		err = d.Check(limited)
		cancel()
	}
	if misnamed(err) {
		return errors.New(cut(err))
	}
	if named && err != nil {
		return fmt.Errorf("provider.executors names docker: %w", err)
	}
	if err != nil {
		n.cfg.Log.Debug("no images run here", "why", err) // nobody asked for them; the doctor says it
	}
	if s.auto = auto; d == nil {
		s.noImages = err
	}
	return nil
}

// docker makes the executor of images, which asks Docker nothing yet.
func (n *Node) docker(c Docker) (*images, error) {
	id, _ := peer.IDFromPrivateKey(n.cfg.Key) // this node's own: it can't fail any more
	cfg := docker.Config{
		Dir: n.path(containersDir), Host: c.Host, Source: n.blobs, Node: dockerName(id.String(), n.cfg.Dir), AllowRunc: c.AllowRunc, Runtime: c.Runtime, Pull: !c.NoPull,
		Registries: c.Registries, External: n.external, Auth: c.Auth, MaxImage: c.MaxImage, CacheBytes: c.Cache, InitPath: c.InitPath, Log: n.cfg.Log,
		DeviceNodes: func(id string) []string { return n.supply.stock.nodes(id) },
	}
	var gate *egress.Gate
	if c.Egress {
		var err error
		gate, err = egress.New(egress.Config{Dir: n.path("egress"), HelperPath: c.EgressPath, External: n.external, Log: n.cfg.Log})
		if err != nil {
			return nil, err
		}
		n.onClose(gate.Close)
		cfg.Egress = func(_ context.Context, spec executor.Spec) (*docker.Wiring, error) { return wiring(gate, spec) }
	}
	d, err := docker.New(cfg)
	if err != nil {
		return nil, err
	}
	return &images{d, gate, n.cfg.Log}, nil
}

// images is the executor of images, and what leads its jobs out.
type images struct {
	*docker.Executor
	gate *egress.Gate // nil: nothing does
	log  *slog.Logger
}

// Recover also removes what egress was made of for executions that are gone.
func (i *images) Recover(ctx context.Context) ([]executor.Execution, error) {
	found, err := i.Executor.Recover(ctx)
	if err == nil && i.gate != nil {
		if err := i.gate.Sweep(); err != nil {
			i.log.Warn("what is left of jobs' ways out can't be removed", "err", err)
		}
	}
	return found, err
}

// wiring opens an execution's way to its allow-list.
func wiring(gate *egress.Gate, spec executor.Spec) (*docker.Wiring, error) {
	w, err := gate.Open(spec.ID, spec.Egress)
	if err != nil {
		return nil, err
	}
	out := &docker.Wiring{ExtraHosts: w.ExtraHosts, EntrypointPrefix: w.EntrypointPrefix, Close: w.Close}
	for _, m := range w.Mounts {
		out.Mounts = append(out.Mounts, docker.Mount{Source: m.Source, Target: m.Target})
	}
	return out, nil
}

// external are the addresses at which others see this machine.
func (n *Node) external() (addrs []netip.Addr) {
	for _, a := range n.addrs() {
		ip, err := manet.ToIP(a)
		if err != nil {
			continue // by name, or through a relay
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// dockerName tells a node's containers from those of others on one daemon.
func dockerName(peer, dir string) string {
	sum := sha256.Sum256([]byte(peer + "\x00" + dir))
	return "souk-" + hex.EncodeToString(sum[:8])
}

// platform is what images have to be for.
func platform() string { return "linux/" + runtime.GOARCH }

const noSandbox = "install souk-sandbox beside souk, or set provider.sandbox"

// isolated is an executor that can say what shuts jobs in.
type isolated interface {
	Isolation(ctx context.Context) (string, error)
}

// checkExecutors are the doctor's lines about them.
func (s *supply) checkExecutors(ctx context.Context) (checks []control.Check) {
	for _, e := range s.executors {
		checks = append(checks, s.checkExecutor(ctx, e))
	}
	if s.noImages != nil {
		checks = append(checks, s.without(s.noImages))
	}
	return checks
}

// without says why no images run here, and what to do about it. It is only wrong
// where somebody wants them to, or wrote what makes no sense.
func (s *supply) without(err error) control.Check {
	c := control.Check{
		Name: "executor " + market.KindDocker, OK: s.auto && !misnamed(err), Text: "no images run here: " + cut(err), Fix: "do as the sentence says",
	}
	if o := (*docker.Obstacle)(nil); errors.As(err, &o) {
		c.Text, c.Fix = "no images run here: "+o.Why, o.Fix
	}
	if s.auto {
		c.Fix += "; or set provider.executors: wasm where none should"
	}
	return c
}

// misnamed says whether what keeps images from running is a word in the configuration.
func misnamed(err error) bool {
	var o *docker.Obstacle
	return errors.As(err, &o) && o.Misnamed
}

func (s *supply) checkExecutor(ctx context.Context, e executor.Executor) control.Check {
	c := control.Check{Name: "executor " + e.Kind(), OK: true, Text: "jobs can run"}
	if err := e.Check(ctx); err != nil {
		if e.Kind() == market.KindDocker {
			return s.without(err)
		}
		c.OK, c.Text, c.Fix = false, err.Error(), noSandbox
		return c
	}
	if i, ok := e.(isolated); ok {
		if text, err := i.Isolation(ctx); err == nil {
			c.Text = text
		}
	}
	return c
}

// cut leaves an error's sentence without what a library said of it.
func cut(err error) string {
	text := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		text = strings.TrimSuffix(text, " ("+inner.Error()+")")
	}
	return text
}
