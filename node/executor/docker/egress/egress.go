// Package egress lets a container without a network connect to the few places
// that its lease names, and to nothing else.
//
// The container's network namespace has a loopback interface alone. A small
// static program, souk-egress, goes before the job's own: it listens on
// 127.0.0.2 and up, where the container's /etc/hosts leads the names of the
// allow-list, and brings each connection to a Unix socket in a folder that is
// mounted read-only. Here, outside, a Gate serves that socket: a header selects
// an entry of the list, the Gate looks the name up, connects, and passes bytes.
// So a job needs to know of no proxy, and any protocol over TCP works.
//
// It promises that whatever a job writes to the socket, bytes go only to the
// hosts and ports of its list, and only where these are public addresses: none
// that is private, local, reserved, of a cloud's metadata service, of this
// machine or of its own network, in any form of writing it. The address is
// judged after the look-up and again as it is dialled, so a name that leads
// elsewhere the second time gains nothing. Connections, their rate, bytes and
// idle time have limits, and a Gate's memory is bounded by them.
//
// It never opens a port on this machine, never carries UDP or anything into a
// container, and never decides whether a lease may have egress. What the bytes
// say is between the job and the place it connects to. The count of bytes, and
// with it Limits.Bytes, starts anew with the node.
package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"souk/internal/pattern"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dialer connects to an address that was judged; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Limits bounds what one execution may do. Zero values are replaced by the
// defaults named here, apart from the two byte limits, whose zero is none.
type Limits struct {
	Connections    int           // at once; 64
	PerSecond      int           // new connections, with as many again in a burst; 32
	Idle           time.Duration // a connection without a byte for so long ends; 5 min
	BytesPerSecond int64         // both ways together, at least 64 KiB
	Bytes          int64         // both ways together, since Open
}

const (
	defaultConnections = 64
	defaultPerSecond   = 32
	burst              = 2 // seconds' worth of new connections that may come at once
	defaultIdle        = 5 * time.Minute

	minRate       = 64 << 10        // bytes per second
	headerTimeout = 5 * time.Second // for a job to say where to
	dialTimeout   = 15 * time.Second
	attemptLimit  = 5 * time.Second // for each address of a name
	maxAddresses  = 8               // of a name are looked at
)

// Config says where a Gate keeps its sockets and what it may do.
type Config struct {
	Dir        string // folder of its own, which only this node may enter
	HelperPath string // the souk-egress binary; empty: beside this program, else in $PATH
	Limits     Limits
	// Deny are networks that this provider's jobs may not connect to, besides
	// those that none may.
	Deny     []netip.Prefix
	External func() []netip.Addr            // see Guard
	Resolver Resolver                       // nil: net.DefaultResolver
	Dialer   Dialer                         // nil: one that judges each address as it is dialled
	Networks func() ([]netip.Prefix, error) // this machine's own; nil: Networks
	Log      *slog.Logger                   // nil: slog.Default
}

// Gate serves the sockets of all executions that may connect somewhere.
type Gate struct {
	cfg    Config
	helper string
	policy policy
	header time.Duration // headerTimeout

	mu     sync.Mutex
	open   map[string]*session // by execution
	closed bool
}

var validID = pattern.Lazy(`^[a-z0-9]{1,128}$`)

// New makes the folder and finds souk-egress. It fails where one can't be had,
// or a limit is negative.
func New(cfg Config) (*Gate, error) {
	if cfg.Dir == "" {
		return nil, errors.New("egress needs a folder")
	}
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	helper, err := findHelper(cfg.HelperPath)
	if err != nil {
		return nil, err
	}
	if _, err := cfg.Networks(); err != nil {
		return nil, fmt.Errorf("the networks of this machine can't be read, so egress can't keep jobs out of them: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for egress sockets can't be made: %w", err)
	}
	g := &Gate{cfg: cfg, helper: helper, header: headerTimeout, open: map[string]*session{}}
	g.policy = Guard{Deny: cfg.Deny, External: cfg.External, Networks: cfg.Networks}.policy()
	if cfg.Dialer == nil {
		g.cfg.Dialer = &net.Dialer{Control: g.policy.control}
	}
	return g, nil
}

func (c *Config) defaults() error {
	l := &c.Limits
	if l.Connections < 0 || l.PerSecond < 0 || l.Idle < 0 || l.Bytes < 0 || l.BytesPerSecond < 0 || l.BytesPerSecond > 0 && l.BytesPerSecond < minRate {
		return fmt.Errorf("a limit of egress is negative, or its rate is below %d bytes per second", minRate)
	}
	l.Connections = positive(l.Connections, defaultConnections)
	l.PerSecond = positive(l.PerSecond, defaultPerSecond)
	l.Idle = positive(l.Idle, defaultIdle)
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Networks == nil {
		c.Networks = Networks
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Open serves the socket of an execution, which may connect to the entries of
// allow (see Parse), and says what its container needs for that. After the node
// was restarted, Open with the same arguments serves a running container's
// socket again; connections that were open then have ended. An execution is
// opened once, and ends with Wiring.Close.
func (g *Gate) Open(id string, allow []string) (Wiring, error) {
	if !validID().MatchString(id) {
		return Wiring{}, fmt.Errorf("%q names no execution; lower-case letters and digits would be right", id)
	}
	targets, err := Parse(allow)
	if err != nil {
		return Wiring{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return Wiring{}, errors.New("egress is closed")
	case g.open[id] != nil:
		return Wiring{}, fmt.Errorf("execution %s has its egress already", id)
	}
	folder := g.folder(id)
	listener, err := listen(folder)
	if err != nil {
		return Wiring{}, fmt.Errorf("the egress socket can't be made: %w", err)
	}
	g.open[id] = g.serve(id, targets, listener)
	return wiring(g.helper, folder, targets, func() error { return g.end(id) }), nil
}

func (g *Gate) folder(id string) string { return filepath.Join(g.cfg.Dir, id) }

// Traffic is what the execution's connections carried since Open, entry by
// entry; nil if it isn't open.
func (g *Gate) Traffic(id string) []Traffic {
	g.mu.Lock()
	s := g.open[id]
	g.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.counts()
}

// end ends an execution's connections and removes its socket.
func (g *Gate) end(id string) error {
	g.mu.Lock()
	s := g.open[id]
	delete(g.open, id)
	closed := g.closed
	g.mu.Unlock()
	if s != nil {
		s.close()
	}
	if closed && s == nil {
		return nil // its container may go on, and the next node serves it
	}
	return os.RemoveAll(g.folder(id))
}

// Sweep removes the folders of executions that aren't open: those which a node
// left that was killed. It is for after every execution that still runs was
// opened again.
func (g *Gate) Sweep() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	entries, err := os.ReadDir(g.cfg.Dir)
	for _, e := range entries {
		if id := e.Name(); g.open[id] == nil {
			err = errors.Join(err, os.RemoveAll(g.folder(id)))
		}
	}
	return err
}

// Close ends all connections and serving. Folders stay, so that the executions
// which outlive this node can be opened again by the next.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	open := g.open
	g.open = map[string]*session{}
	g.mu.Unlock()
	for _, s := range open {
		s.close()
	}
	return nil
}
