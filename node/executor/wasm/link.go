package wasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/node/executor/wasm/control"
)

const (
	writeTimeout = 5 * time.Second // for a command to a supervisor
	startTimeout = time.Minute     // for a sandbox's processes to start
)

// link is a connection to a supervisor, and what is known of its sandbox.
type link struct {
	conn net.Conn
	cmd  *exec.Cmd // nil for a supervisor that a former process started
	dec  *json.Decoder

	mu  sync.Mutex
	enc *json.Encoder

	// Whoever has the link, the pool or an execution, has these.
	box     string                     // the sandbox's box, to be removed with it
	tenant  tenant                     // for whom it runs; none yet: zero
	modules map[string]control.Verdict // those in its box
	idle    time.Time                  // since when it waits
}

func newLink(conn net.Conn, cmd *exec.Cmd) *link {
	return &link{conn: conn, cmd: cmd, enc: json.NewEncoder(conn), dec: json.NewDecoder(conn)}
}

// launch starts a supervisor in a session of its own, so that neither Ctrl-C
// nor the end of this process reaches it.
func launch(sandbox string) (*link, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	defer ours.Close()
	cmd := exec.Command(sandbox, "supervise")
	cmd.Env = []string{"GOMAXPROCS=2"}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the sandbox could not be started: %w", err)
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	return newLink(conn, cmd), nil
}

// awaitUp waits for the first status, which says that both processes are there.
func (l *link) awaitUp() error {
	if err := l.conn.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	var up control.Status
	return errors.Join(l.dec.Decode(&up), l.conn.SetReadDeadline(time.Time{}))
}

func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "sandbox"), os.NewFile(uintptr(fds[1]), "node"), nil
}

// dial finds the supervisor of a workspace, if it still lives.
func dial(workspace string) (*link, error) {
	dir, err := os.Open(workspace)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	// A socket's path may have 107 bytes; the way by descriptor always fits.
	conn, err := net.Dial("unix", filepath.Join("/proc/self/fd", fmt.Sprint(dir.Fd()), control.SocketFile))
	if err != nil {
		return nil, err
	}
	return newLink(conn, nil), nil
}

func (l *link) send(cmd control.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return l.enc.Encode(cmd)
}

// statuses calls f for each status until the execution ended and the sandbox is
// ready for another one, which it tells, or until the connection ends.
func (l *link) statuses(f func(control.Status)) (ready bool) {
	for {
		var s control.Status
		if l.dec.Decode(&s) != nil {
			_ = l.conn.Close()
			return false
		}
		f(s)
		if s.State == control.Ended {
			return true
		}
	}
}

// end closes the connection, waits for the process, and removes its box.
func (l *link) end() {
	_ = l.conn.Close()
	l.wait()
	l.clear()
}

// wait waits for a child that is ending.
func (l *link) wait() {
	if l.cmd != nil {
		_ = l.cmd.Wait()
	}
}

// clear removes the box of a sandbox that ended. What stays is removed by a
// later Recover.
func (l *link) clear() { _ = os.RemoveAll(l.box) }
