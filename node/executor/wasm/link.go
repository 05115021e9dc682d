package wasm

import (
	"encoding/json"
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

const writeTimeout = 5 * time.Second // for a command to a supervisor

// link is a connection to a supervisor.
type link struct {
	conn net.Conn
	cmd  *exec.Cmd // nil for a supervisor that a former process started

	mu  sync.Mutex
	enc *json.Encoder
}

func newLink(conn net.Conn, cmd *exec.Cmd) *link {
	return &link{conn: conn, cmd: cmd, enc: json.NewEncoder(conn)}
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

// statuses calls f for each status until the connection ends, then waits for
// the process if it is this one's child.
func (l *link) statuses(f func(control.Status)) {
	dec := json.NewDecoder(l.conn)
	for {
		var s control.Status
		if dec.Decode(&s) != nil {
			break
		}
		f(s)
	}
	_ = l.conn.Close()
}

// reap waits for a child that is ending.
func (l *link) reap() {
	if l.cmd != nil {
		_ = l.cmd.Wait()
	}
}
