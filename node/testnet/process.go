package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"souk/node/control"
)

const logTail = 3 // lines of a node's log that explain why it ended

// spawn starts a process that outlives this one, with its output in the
// folder's log.
func spawn(dir string, command []string) (pid int, err error) {
	log, err := os.OpenFile(control.LogPath(dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // souk's own programs
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() { _ = cmd.Wait() }() // ends with the process; it reaps it while this one lives
	return cmd.Process.Pid, nil
}

// alive tells whether the node's process is there, and is not another one
// that got its number.
func (n *Node) alive() bool {
	if n.Shared {
		return isSouk(strconv.Itoa(n.PID)) && holds(n.PID, n.Dir)
	}
	return slices.Contains(processesOf(n.Dir), n.PID)
}

// holds tells whether a process has something in a folder open.
func holds(pid int, dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	files := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, _ := os.ReadDir(files) // none where the process is gone
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		path, err := os.Readlink(filepath.Join(files, e.Name()))
		return err == nil && within(path, real)
	})
}

// processes are all that work for the testnet, but for this one.
func (s *State) processes() []int {
	pids := processesOf(s.Dir)
	for _, n := range s.Nodes {
		if n.Shared && n.PID != os.Getpid() && n.alive() && !slices.Contains(pids, n.PID) {
			pids = append(pids, n.PID)
		}
	}
	return pids
}

// processesOf are souk's processes that work for a folder: that were started
// with its path, or stand in it. A shell or a pager that does is left alone.
func processesOf(dir string) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && isSouk(e.Name()) && worksFor(e.Name(), dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isSouk tells whether a process runs souk, its sandbox or its hostile peers.
func isSouk(pid string) bool {
	exe, err := os.Readlink(filepath.Join("/proc", pid, "exe"))
	name := strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	return err == nil && (name == "souk" || strings.HasPrefix(name, "souk-"))
}

func worksFor(pid, dir string) bool {
	proc := filepath.Join("/proc", pid)
	if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err == nil && within(cwd, dir) {
		return true
	}
	line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil {
		return false
	}
	for _, word := range bytes.Split(line, []byte{0}) {
		if within(string(word), dir) {
			return true
		}
	}
	return false
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// Kill ends a node's process at once, as a crash would.
func (n *Node) Kill() error {
	if n.Shared {
		return n.notAlone("killed")
	}
	if !n.alive() {
		return fmt.Errorf("%s isn't running", n.Name)
	}
	return syscall.Kill(n.PID, syscall.SIGKILL)
}

// notAlone is why something can't be done to one node.
func (n *Node) notAlone(done string) error {
	return fmt.Errorf("these nodes are one process (%d); none can be %s alone", n.PID, done)
}

// down asks every node to end, ends what doesn't, and removes what they made.
func down(ctx context.Context, s *State) error {
	for _, n := range s.Nodes {
		n.askToEnd(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	for len(s.processes()) > 0 && wait(limited, lookEvery) == nil {
	}
	for _, pid := range s.processes() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	for len(s.processes()) > 0 {
		if err := wait(ctx, lookEvery); err != nil {
			return err
		}
	}
	return s.remove(ctx)
}

func (n *Node) askToEnd(ctx context.Context) {
	if n.Role != Hostile && control.NewClient(n.Dir).Shutdown(ctx) == nil {
		return
	}
	if n.alive() {
		_ = syscall.Kill(n.PID, syscall.SIGTERM)
	}
}

// lastLines is why a node ended, as far as its log says.
func lastLines(dir string) string {
	b, err := os.ReadFile(control.LogPath(dir))
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return "it left no log"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], " / ")
}
