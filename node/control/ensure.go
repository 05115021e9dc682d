package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/protocol/wire"
)

const (
	logName  = "node.log"
	lockName = "start.lock"

	maxLog     = 16 << 20             // bytes of a background node's log before it is begun anew
	startEvery = 2 * time.Millisecond // between two looks at a starting node; one takes a few µs while it doesn't listen
	startLimit = time.Minute          // for a node to come up: it opens its books and measures its speed
	tailBytes  = 4 << 10              // of the log that are looked at for why a node didn't come up
	tailLines  = 3                    // and shown
)

// LogPath is the log of a data directory's background node.
func LogPath(dataDir string) string { return filepath.Join(dataDir, logName) }

// Ensure gives a client of the data directory's node, and starts one in the
// background with command (a program and its arguments) where none answers.
// The node outlives the caller. started tells whether it was started here;
// the error where it didn't come up is a *wire.Refusal with NodeFailed and the
// last lines of its log.
func Ensure(ctx context.Context, dataDir string, command []string) (c *Client, started bool, err error) {
	c = NewClient(dataDir)
	if err := c.Ping(ctx); !wire.IsCode(err, NotRunning) {
		return c, false, err
	}
	unlock, err := lockStart(ctx, dataDir)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if err := c.Ping(ctx); !wire.IsCode(err, NotRunning) {
		return c, false, err // somebody else started it meanwhile
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit,
		wire.Refuse(NodeFailed, "the background node did not answer within %s", startLimit).Near("its log is %s", LogPath(dataDir)))
	defer cancel()
	p, err := spawn(dataDir, command)
	if err != nil {
		return nil, false, err
	}
	return c, true, p.ready(ctx, c)
}

// lockStart waits until no other process starts a node here. The kernel takes
// the lock from a process that dies.
func lockStart(ctx context.Context, dataDir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dataDir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory can't be written: %w", err)
	}
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // a file descriptor is small
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock the data directory: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		}
	}
}

// process is a background node that is coming up.
type process struct {
	dataDir string
	from    int64 // where its part of the log begins
	died    chan struct{}
}

func spawn(dataDir string, command []string) (*process, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(LogPath(dataDir)); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	log, err := os.OpenFile(LogPath(dataDir), flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the background node's log: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // the caller's own program
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = dataDir                                    // so that it holds no other folder in use
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal's signals reach it
	if err := cmd.Start(); err != nil {
		return nil, wire.Refuse(NodeFailed, "the background node can't be started: %v", err)
	}
	p := &process{dataDir: dataDir, from: from, died: make(chan struct{})}
	go func() { // ends with the node, or with this process
		defer close(p.died)
		_ = cmd.Wait() // how it ended stands in its log
	}()
	return p, nil
}

// ready waits until the node answers.
func (p *process) ready(ctx context.Context, c *Client) error {
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.died:
			if c.Ping(ctx) == nil {
				return nil // another process holds the directory, and answers
			}
			return p.reason()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if _, err := os.Lstat(socketPath(p.dataDir)); err != nil {
				continue // asking costs more than looking
			}
			if err := c.Ping(ctx); !wire.IsCode(err, NotRunning) && ctx.Err() == nil {
				return err
			}
		}
	}
}

// reason is what the node last said.
func (p *process) reason() error {
	tail := lastLines(LogPath(p.dataDir), p.from)
	r := wire.Refuse(NodeFailed, "the background node ended as it started")
	if tail != "" {
		r = wire.Refuse(NodeFailed, "the background node ended as it started: %s", tail)
	}
	return r.Near("its log is %s", LogPath(p.dataDir))
}

func lastLines(path string, from int64) string {
	f, err := os.Open(path) //nolint:gosec // in the user's own directory
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-tailBytes)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "souk: ") // whoever tells it says that anew
	}
	return strings.TrimSpace(strings.Join(lines, "; "))
}
