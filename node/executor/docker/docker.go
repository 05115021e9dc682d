// Package docker runs container images as jobs, through the Docker daemon of
// this machine.
//
// It promises that a job sees only its image, its inputs (read-only), one
// writable disk of limited size and the devices that are leased to it; that it
// runs as nobody, without capabilities, new privileges or a network; that what
// it writes to disk, log, memory and processes is bounded; that an execution
// goes on while the node is away and is found again by its labels, but not past
// its time limit nor for long; and that nothing of it is left after Remove. The writable disk is an ext4 image on a
// loop device, or a tmpfs where there are none. Programs may be run from it:
// GPU frameworks compile kernels to shared objects there.
//
// It never gives a job the daemon's socket, root, or a path of this machine, never
// touches containers and images that it didn't make or bring, and never runs
// strangers' jobs on raw runc unless Config.AllowRunc says so. Docker is not a
// jail for determinism: real time and randomness are what the machine has.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"souk/internal/pattern"
	"souk/node/executor"
)

// Kind is what offers and jobs call this executor.
const Kind = "docker"

// The labels of everything that this executor makes.
const (
	LabelNode      = "souk.node"
	LabelExecution = "souk.execution"
)

// Config says where an Executor lives and what a job may have.
type Config struct {
	Dir    string          // folder of its own for workspaces and records
	Host   string          // the daemon's address; empty: $DOCKER_HOST, else the default socket
	Source executor.Source // where inputs and archives come from
	// Node is unique to this data directory: 1 to 64 lower-case letters, digits
	// and '-'. Two nodes on one daemon never touch each other's things.
	Node      string
	AllowRunc bool   // strangers' jobs may run on a runtime that shares this machine's kernel
	Runtime   string // empty: runsc where installed, else runc if allowed
	Pull      bool   // images that are not here may be pulled
	// Registries may have private addresses, as host or host:port: registries, and
	// what they send their clients to. All others have public ones, by the guard that
	// jobs' connections go through, so that a client can't make this machine talk to
	// its own network.
	Registries []string
	External   func() []netip.Addr // the addresses at which others see this machine; see egress.Guard
	Auth       string              // path of a Docker config.json with this provider's registry credentials
	MaxImage   int64               // bytes of one image, unpacked; 0: 64 GiB
	CacheBytes int64               // bytes of images brought by souk that are kept; 0: 100 GiB
	// Egress wires a container to its allow-list; nil refuses jobs that ask for one.
	Egress func(ctx context.Context, spec executor.Spec) (*Wiring, error)
	// DeviceNodes are the device files that whoever runs on a device opens, for
	// vendors without a container toolkit; nil: none.
	DeviceNodes func(id string) []string
	// Grace is how long an execution waits for a daemon that went away, so that an
	// upgrade of a daemon that keeps its containers ends no job; 0: 30 s.
	Grace time.Duration
	// Outlast is how long a container goes on after the last sign of its node, which
	// may be being upgraded; 0: 10 min.
	Outlast time.Duration
	// InitPath is the souk-init program, which every container starts with; empty:
	// beside this program, else in $PATH.
	InitPath string
	Log      *slog.Logger // nil: slog.Default
}

// Wiring is what a container needs to reach its allow-list and nothing else.
type Wiring struct {
	Mounts           []Mount
	ExtraHosts       []string // host:address
	EntrypointPrefix []string // goes before the image's program and runs it
	// Close is called once the execution has ended, and not when a closing node
	// leaves its container running.
	Close func() error
}

// Mount is a file or folder of this machine that a container sees, read-only.
type Mount struct{ Source, Target string }

const (
	defaultMaxImage = 64 << 30
	defaultCache    = 100 << 30
	defaultGrace    = 30 * time.Second
)

// Executor implements executor.Executor.
type Executor struct {
	cfg    Config
	api    *client.Client
	life   *life
	images *images

	mu       sync.Mutex
	running  map[string]*execution // by ID: not yet removed
	closed   bool
	detached bool // executions go on without this process
	seen     bool // the daemon sees what this process mounts

	probing sync.Mutex
	disks   bool                                        // jobs' disks can be mounted
	probe   func(ctx context.Context, dir string) error // mounts one in dir
}

var (
	_ executor.Executor = (*Executor)(nil)

	errClosed = errors.New("the docker executor is closed")
	validNode = pattern.Lazy(`^[a-z0-9-]{1,64}$`)
)

// New makes the folders; it doesn't ask the daemon anything. It fails where Dir
// can't be written or the configuration makes no sense.
func New(cfg Config) (*Executor, error) {
	if cfg.Source == nil || cfg.Dir == "" || !validNode().MatchString(cfg.Node) {
		return nil, errors.New("the docker executor needs a folder, a source, and a node name of 1 to 64 lower-case letters, digits and '-'")
	}
	if cfg.MaxImage < 0 || cfg.CacheBytes < 0 || cfg.Grace < 0 || cfg.Outlast < 0 {
		return nil, errors.New("the docker executor's limits on images, its grace and how long containers outlast it can't be negative")
	}
	cfg.MaxImage = cmp.Or(cfg.MaxImage, defaultMaxImage)
	cfg.CacheBytes = cmp.Or(cfg.CacheBytes, defaultCache)
	cfg.Grace = cmp.Or(cfg.Grace, defaultGrace)
	cfg.Outlast = cmp.Or(cfg.Outlast, defaultOutlast)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	api, err := connect(cfg.Host)
	if err != nil {
		return nil, err
	}
	e := &Executor{cfg: cfg, api: api, running: map[string]*execution{}, probe: probeDisk}
	e.images = newImages(e)
	err = e.clean()
	if err == nil {
		e.life, err = sign(filepath.Join(dir, aliveDir), cfg.Outlast, e.unsigned)
	}
	if err != nil {
		return nil, fmt.Errorf("the docker executor's folder can't be used: %w", err)
	}
	return e, nil
}

// unsigned says that containers can't see that this node lives.
func (e *Executor) unsigned(err error) {
	e.cfg.Log.Error("this node can't give its containers a sign of life, so they will end", "within", e.cfg.Outlast, "error", err)
}

// connect makes a client that takes the newest API which the daemon knows.
func connect(host string) (*client.Client, error) {
	opts := []client.Opt{client.WithTLSClientConfigFromEnv(), client.WithHostFromEnv(), client.WithUserAgent("souk")}
	if host != "" {
		opts = []client.Opt{client.WithHost(host), client.WithUserAgent("souk")}
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("%q can't be Docker's address; unix:///var/run/docker.sock is the usual one (%w)", host, err)
	}
	return api, nil
}

// The folders in Config.Dir.
func (e *Executor) jobs() string  { return filepath.Join(e.cfg.Dir, "jobs") }
func (e *Executor) waste() string { return filepath.Join(e.cfg.Dir, "waste") }

// clean makes the folders, and removes what a former process was about to.
func (e *Executor) clean() error {
	if err := errors.Join(remove(e.waste()), os.RemoveAll(e.pulls())); err != nil {
		return err
	}
	for _, dir := range []string{e.jobs(), e.waste(), e.pulls()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// Kind is "docker".
func (e *Executor) Kind() string { return Kind }

// Close stops every execution and waits for it unless detach is set; then
// containers run on under the daemon, until another Executor's Recover. A second
// Close does nothing.
func (e *Executor) Close(detach bool) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed, e.detached = true, detach
	open := make([]*execution, 0, len(e.running))
	for _, x := range e.running {
		open = append(open, x)
	}
	e.mu.Unlock()
	var wg sync.WaitGroup
	for _, x := range open {
		wg.Go(func() {
			if detach {
				x.end()
			} else {
				x.kill(executor.Stopped)
			}
			<-x.gone
		})
	}
	wg.Wait()
	e.life.stop()
	return e.api.Close()
}

// add registers an execution, unless the executor was closed.
func (e *Executor) add(x *execution) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	e.running[x.rec.ID] = x
	return nil
}

// open says whether the executor may still be used.
func (e *Executor) open() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	return nil
}

func (e *Executor) forget(x *execution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, x.rec.ID)
}

// letGo says whether this process gave its executions up without ending them.
func (e *Executor) letGo() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.detached
}
