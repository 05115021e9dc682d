// Package testnet runs a whole market on one machine: a bootstrap node,
// providers with simulated GPUs, clients, and hostile providers if asked, each
// a real process with a data directory and a key of its own, on loopback.
//
// It promises that Up returns only when every client finds every provider,
// that nothing of a testnet talks outside loopback, and that Down leaves
// neither a process nor a file of it behind, and touches no other file. Loopback has no NAT and no per-address
// limits, so it says nothing about those.
package testnet

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Limits of a testnet.
const (
	MaxNodes    = 64
	readyWithin = 2 * time.Minute  // for one process to answer
	foundWithin = 2 * time.Minute  // for all clients to find all providers
	stopWithin  = 20 * time.Second // for all processes to end by themselves
	lostAfter   = 15 * time.Second // how long a silent provider keeps a client waiting
)

// Role is what a node of a testnet is there for.
type Role string

// The roles.
const (
	Bootstrap Role = "bootstrap"
	Provider  Role = "provider"
	Client    Role = "client"
	Hostile   Role = "hostile"
)

// Node is one process of a testnet.
type Node struct {
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	Dir   string `json:"dir"`
	PID   int    `json:"pid"`
	Peer  string `json:"peer"`
	Addr  string `json:"addr"`            // to bootstrap by
	GPU   string `json:"gpu,omitempty"`   // simulated
	Price string `json:"price,omitempty"` // such as 0.40/h
	Up    bool   `json:"up"`              // when last looked at
	// Shared: its process is that of all nodes of the testnet.
	Shared bool `json:"shared,omitempty"`
}

// State is a running testnet, as its folder remembers it.
type State struct {
	Dir     string    `json:"dir"`
	Network string    `json:"network"`
	Since   time.Time `json:"since"`
	Nodes   []Node    `json:"nodes"`
	// DockerHost is where the providers' containers are; empty: at $DOCKER_HOST.
	DockerHost string `json:"docker_host,omitempty"`

	mu sync.Mutex // of Nodes, while some restart and others are looked up
}

// Options say what Up starts.
type Options struct {
	Dir       string // must be empty, or not be there
	Souk      string // path of the souk program
	Hostile   string // path of souk-hostile; needed with Behave
	Providers int    // honest ones
	Clients   int
	Behave    []string // a hostile provider for each, with these behaviours, comma-separated
	Tick      time.Duration
	Price     string        // that each honest provider asks, such as 0.40/h; empty: different ones
	Slots     int           // executions at one time on each honest provider; 0: 4
	LostAfter time.Duration // how long a silent provider keeps a client waiting; 0: 15 s
	Docker    bool          // the honest providers run images too, on raw runc where there is no runsc
	Progress  func(string)  // one line for people; may be nil
}

// What keeps a testnet from coming up.
var (
	ErrRunning = errors.New("a testnet is there already")
	ErrNone    = errors.New("no testnet is there")
	ErrTaken   = errors.New("the folder is in other use")
	ErrOptions = errors.New("bad testnet options")
)

const (
	stateFile = "testnet.json"
	newSuffix = ".new" // of the state file while it is written
)

// Load reads the testnet in dir and looks which of its processes live.
func Load(dir string) (*State, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s; `souk testnet up` starts one", ErrNone, dir)
	}
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); remove the folder %s", stateFile, err, dir)
	}
	if !sameFolder(s.Dir, dir) {
		return nil, fmt.Errorf("%w in %s: its %s is a copy of that of %s", ErrNone, dir, stateFile, s.Dir)
	}
	for i := range s.Nodes {
		s.Nodes[i].Up = s.Nodes[i].alive()
	}
	return &s, nil
}

// Node gives a node by its name, such as client-1, or its peer ID.
func (s *State) Node(name string) (*Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.Nodes {
		if n.Name == name || n.Peer == name {
			return &n, nil
		}
	}
	return nil, fmt.Errorf("no node of this testnet is called %q; `souk testnet status` names them", name)
}

// Restart starts a node again that was killed, on its old data directory.
func (s *State) Restart(ctx context.Context, souk string, n *Node) (err error) {
	if n.Shared {
		return n.notAlone("started")
	}
	if n.alive() {
		return fmt.Errorf("%s is running", n.Name)
	}
	if n.Role == Hostile {
		return fmt.Errorf("%s keeps nothing to go on with", n.Name)
	}
	if n.PID, err = spawn(n.Dir, n.command(souk)); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	if err := s.put(*n); err != nil {
		return err
	}
	err = n.ready(ctx)
	return errors.Join(err, s.put(*n))
}

// put keeps what is known of a node now.
func (s *State) put(n Node) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.Nodes {
		if s.Nodes[i].Name == n.Name {
			s.Nodes[i] = n
		}
	}
	return s.save()
}

func (n *Node) command(souk string) []string {
	if n.Role == Provider {
		return []string{souk, "--data-dir", n.Dir, "provide"}
	}
	return []string{souk, "--data-dir", n.Dir, "node", "run"}
}

func (s *State) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.Dir, stateFile+newSuffix)
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(s.Dir, stateFile))
}

// Up starts a testnet and waits until its nodes find each other. Where it
// fails, or ctx ends, nothing stays behind.
func Up(ctx context.Context, o Options) (s *State, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var id [3]byte
	_, _ = rand.Read(id[:]) // never fails
	s = &State{Dir: o.Dir, Network: "testnet-" + hex.EncodeToString(id[:]), Since: time.Now()}
	if o.Docker {
		s.DockerHost = dockerSocket()
	}
	if err := s.claim(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, down(context.WithoutCancel(ctx), s))
			s = nil
		}
	}()
	if err := o.start(ctx, s); err != nil {
		return s, err
	}
	return s, o.await(ctx, s)
}

// dockerSocket is the Unix socket at which Docker is now: a later command, with
// another environment, finds the containers there. It is empty where Docker is
// reached in another way, which that command has to know too.
func dockerSocket() string {
	host := cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock")
	if !strings.HasPrefix(host, "unix://") {
		return ""
	}
	return host
}

func (o *Options) check() error {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.LostAfter == 0 {
		o.LostAfter = lostAfter
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	switch n := o.Providers + o.Clients + len(o.Behave); {
	case o.Providers < 0 || o.Clients < 1 || o.Providers+len(o.Behave) < 1:
		return fmt.Errorf("%w: a testnet needs at least one provider and one client", ErrOptions)
	case n > MaxNodes:
		return fmt.Errorf("%w: %d nodes, %d are allowed on one machine", ErrOptions, n, MaxNodes)
	case len(o.Behave) > 0 && o.Hostile == "":
		return fmt.Errorf("%w: hostile providers need the souk-hostile program beside souk", ErrOptions)
	case !filepath.IsAbs(o.Dir) || !filepath.IsAbs(o.Souk):
		return fmt.Errorf("%w: folder and program need absolute paths", ErrOptions)
	}
	return nil
}

// Down ends the testnet in dir and removes all that it made. The folder goes
// too, unless something else is in it.
func Down(ctx context.Context, dir string) error {
	s, err := Load(dir)
	if err != nil {
		return err
	}
	return down(ctx, s)
}
