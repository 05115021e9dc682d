package docker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Log reads the log from offset and follows it.
func (x *execution) Log(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, errors.New("a log is read from its start, 0, or later")
	}
	ctx, cancel := context.WithCancel(ctx)
	return &follower{x: x, ctx: ctx, cancel: cancel, offset: offset}, nil
}

// follower reads the log as it grows. Close ends a Read that waits.
type follower struct {
	x      *execution
	ctx    context.Context
	cancel context.CancelFunc
	offset int64

	mu   sync.Mutex // one Read at a time, and none after Close
	file *os.File   // nil until there is one
}

func (f *follower) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(p) > 0 {
		if err := f.ctx.Err(); err != nil {
			return 0, err
		}
		// What changed is asked before reading: what is written later wakes this up again.
		changed, ended := f.x.log.watch()
		n, err := f.readAt(p)
		f.offset += int64(n)
		if n > 0 {
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if ended {
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-f.ctx.Done():
		case <-f.x.gone:
			if f.x.exec.letGo() {
				return 0, errClosed
			}
		}
	}
	return 0, nil
}

func (f *follower) readAt(p []byte) (int, error) {
	if f.file == nil {
		file, err := os.Open(f.x.log.path)
		if errors.Is(err, fs.ErrNotExist) { // not started yet, or never
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.ReadAt(p, f.offset)
}

func (f *follower) Close() error {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// watch gives a channel that is closed at the next change, and whether there will be none.
func (j *journal) watch() (<-chan struct{}, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed, j.ended
}
