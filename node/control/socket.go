package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/adrg/xdg"

	"souk/protocol/wire"
)

const (
	socketName = "souk.sock"
	// pathName is a file that names the socket where the data directory's own
	// path is too long for one.
	pathName = "souk.sock.path"
	// maxSocketPath is what every system takes: 104 bytes with the closing zero on some.
	maxSocketPath = 103
)

// socket is a listening socket and the files that it is found by.
type socket struct {
	listener net.Listener
	files    []string
}

func (s *socket) remove() {
	for _, f := range s.files {
		_ = os.RemoveAll(f)
	}
}

func listen(dataDir string) (*socket, error) {
	if conn, err := dial(context.Background(), dataDir); err == nil {
		_ = conn.Close()
		return nil, wire.Refuse(wire.Code("in_use"), "another souk process holds %s", dataDir).
			Near("stop it with `souk node down`, or name another directory with --data-dir")
	}
	path := filepath.Join(dataDir, socketName)
	_ = os.Remove(path) // left by a process that died
	_ = os.Remove(filepath.Join(dataDir, pathName))
	s := &socket{files: []string{path}}
	if len(path) > maxSocketPath {
		var err error
		if path, err = s.shortPath(dataDir); err != nil {
			return nil, err
		}
	}
	var err error
	if s.listener, err = net.Listen("unix", path); err != nil {
		s.remove()
		return nil, fmt.Errorf("open the node's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = s.listener.Close()
		s.remove()
		return nil, fmt.Errorf("keep others from the node's socket: %w", err)
	}
	return s, nil
}

// shortPath makes a folder that only this user can enter, and records it.
func (s *socket) shortPath(dataDir string) (string, error) {
	var errs []error
	for _, base := range []string{xdg.RuntimeDir, os.TempDir(), "/tmp"} {
		dir, err := os.MkdirTemp(base, "souk-")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.files = []string{dir, filepath.Join(dataDir, pathName)}
		path := filepath.Join(dir, "s")
		if len(path) > maxSocketPath {
			s.remove()
			continue
		}
		if err := os.WriteFile(filepath.Join(dataDir, pathName), []byte(path), 0o600); err != nil {
			s.remove()
			return "", fmt.Errorf("record the node's socket: %w", err)
		}
		return path, nil
	}
	return "", fmt.Errorf("the path of %s is too long for a socket, which has at most %d bytes, and no shorter place was found; choose a data directory with a shorter path: %w",
		dataDir, maxSocketPath, errors.Join(errs...))
}

// socketPath is where the node of dataDir listens, if there is one.
func socketPath(dataDir string) string {
	if short, err := os.ReadFile(filepath.Join(dataDir, pathName)); err == nil && len(short) <= maxSocketPath { //nolint:gosec // in the user's own directory
		return strings.TrimSpace(string(short))
	}
	return filepath.Join(dataDir, socketName)
}

// dial connects to the node of dataDir; NotRunning where there is none.
func dial(ctx context.Context, dataDir string) (net.Conn, error) {
	path := socketPath(dataDir)
	if len(path) > maxSocketPath {
		return nil, notRunning(dataDir)
	}
	conn, err := (&net.Dialer{Timeout: pingTimeout}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, notRunning(dataDir)
	case errors.Is(err, os.ErrPermission):
		return nil, wire.Refuse(NotRunning, "the node of %s belongs to another user", dataDir).Near("use a data directory of your own with --data-dir")
	}
	return nil, err
}

func notRunning(dataDir string) *wire.Refusal {
	return wire.Refuse(NotRunning, "no node is running on %s", dataDir).Near("start one with `souk node up`")
}
