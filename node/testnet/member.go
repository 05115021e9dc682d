package testnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.yaml.in/yaml/v3"

	"souk/node/config"
	"souk/node/identity"
)

// Member is one node of a testnet whose nodes are containers or machines of
// their own. They meet by a folder that they share: the bootstrap leaves its
// address there, the others read it, and providers draw numbers. Each has a
// data directory of its own. They trust each other's hands off the folder.
type Member struct {
	Role    Role   // Bootstrap, Provider or Client
	Dir     string // its data directory
	Meeting string // the folder that all share; clients only read it
	Network string
	// Announce is how the others reach the bootstrap, without its peer ID, such
	// as /dns4/bootstrap/tcp/4001. It also says where the bootstrap listens.
	Announce  string
	Tick      time.Duration // of a provider
	LostAfter time.Duration // how long a silent provider keeps a client waiting; 0: 15 s
}

// meetFile is where the bootstrap's address stands in the meeting folder.
const meetFile = "bootstrap"

// maxDrawn is the most providers that meet in one folder.
const maxDrawn = 1024

// meetWithin is how long a member waits for the bootstrap's address.
const meetWithin = 2 * time.Minute

// Prepare gives the member its key, unless it has one, and its config file,
// anew. A bootstrap then leaves its address; the others wait until it is there.
func (m *Member) Prepare(ctx context.Context) error {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	id, err := m.key()
	if err != nil {
		return err
	}
	c, err := m.config(ctx, id)
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	return writeWhole(config.File(m.Dir), b, 0o600)
}

// key is the member's peer ID; its key is made where there is none yet.
func (m *Member) key() (peer.ID, error) {
	path := filepath.Join(m.Dir, identity.FileName)
	key, err := identity.Create(path, "")
	if errors.Is(err, identity.ErrExists) {
		key, err = identity.Load(path, unsealed)
	}
	if err != nil {
		return "", err
	}
	return peer.IDFromPrivateKey(key)
}

func unsealed() (string, error) { return "", errors.New("a testnet's key is never sealed") }

func (m *Member) config(ctx context.Context, id peer.ID) (map[string]any, error) {
	lost := m.LostAfter
	if lost == 0 {
		lost = lostAfter
	}
	c := map[string]any{"network": m.Network, "mdns": false, "client": map[string]any{"lost_after": lost.String()}}
	if m.Role == Bootstrap {
		listen, err := m.meet(id)
		c["listen"] = listen
		return c, err
	}
	addr, err := m.bootstrap(ctx)
	if err != nil {
		return nil, err
	}
	c["bootstrap"] = []string{addr}
	if m.Role == Provider {
		n, err := m.draw(id)
		if err != nil {
			return nil, fmt.Errorf("draw a provider's number: %w", err)
		}
		c["provider"] = provides(goods[(n-1)%len(goods)], m.Tick)
	}
	return c, nil
}

// meet leaves the bootstrap's address, and gives those to listen on.
func (m *Member) meet(id peer.ID) ([]string, error) {
	a, err := ma.NewMultiaddr(m.Announce)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is no address to announce; write one such as /dns4/bootstrap/tcp/4001", ErrOptions, m.Announce)
	}
	port, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil {
		return nil, fmt.Errorf("%w: the address to announce, %q, has no /tcp/PORT", ErrOptions, m.Announce)
	}
	line := fmt.Sprintf("%s/p2p/%s\n", a, id)
	if err := writeWhole(filepath.Join(m.Meeting, meetFile), []byte(line), 0o644); err != nil {
		return nil, fmt.Errorf("leave the bootstrap's address: %w", err)
	}
	return []string{"/ip4/0.0.0.0/tcp/" + port, "/ip4/0.0.0.0/udp/" + port + "/quic-v1"}, nil
}

// bootstrap waits for the address that the bootstrap leaves.
func (m *Member) bootstrap(ctx context.Context) (string, error) {
	path := filepath.Join(m.Meeting, meetFile)
	ctx, cancel := context.WithTimeoutCause(ctx, meetWithin, fmt.Errorf("no bootstrap left its address in %s within %s", path, meetWithin))
	defer cancel()
	for {
		b, err := os.ReadFile(path)
		if err == nil {
			return strings.TrimSpace(string(b)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if wait(ctx, lookEvery) != nil {
			return "", context.Cause(ctx)
		}
	}
}

// draw gives a provider the lowest number, from 1, that no other one drew; it
// has the GPU and price of that one in a testnet of Up. It keeps its number
// while the meeting folder is there.
func (m *Member) draw(id peer.ID) (int, error) {
	for n := 1; n <= maxDrawn; n++ {
		path := filepath.Join(m.Meeting, fmt.Sprintf("%s-%d", Provider, n))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // others read it
		if err == nil {
			_, err = f.WriteString(id.String())
			return n, errors.Join(err, f.Close())
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
		if drawn, err := os.ReadFile(path); err == nil && string(drawn) == id.String() {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%d providers drew one already; that is the most", maxDrawn)
}

// writeWhole writes a file that readers see whole or not at all.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
