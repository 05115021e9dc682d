package wasm

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"souk/node/executor/wasm/control"
)

// Log reads the log from offset and follows it.
func (x *execution) Log(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, errors.New("a log is read from its start, 0, or later")
	}
	f, err := os.Open(filepath.Join(x.dir, control.LogFile))
	if errors.Is(err, fs.ErrNotExist) { // ended before a sandbox had it
		if _, ended := x.ended(); ended {
			return io.NopCloser(eof{}), nil
		}
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	return &follower{x: x, file: f, ctx: ctx, cancel: cancel, offset: offset}, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// follower reads the log as it grows. Close ends a Read that waits.
type follower struct {
	x      *execution
	ctx    context.Context
	cancel context.CancelFunc
	offset int64

	mu   sync.Mutex // one Read at a time, and none after Close
	file *os.File
}

func (f *follower) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(p) > 0 {
		if err := f.ctx.Err(); err != nil {
			return 0, err
		}
		// Whether it ended is asked before reading: what is written later is no part of it.
		_, ended := f.x.ended()
		n, err := f.file.ReadAt(p, f.offset)
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
		offset := f.offset
		if err := f.x.await(f.ctx, func(s control.Status) bool { return s.Log > offset }); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (f *follower) Close() error {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
