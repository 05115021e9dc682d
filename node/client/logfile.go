package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"souk/protocol/market"
	"souk/protocol/wire"
)

// logSlack is what a log may be longer than leased, for the notice that it was cut.
const logSlack = 4 << 10

// logFile is the log of one execution; its size is the offset to go on from.
// Its file is made with its first byte: many jobs say nothing.
type logFile struct {
	path  string
	f     *os.File // nil until there is something to append
	size  int64
	dirty bool
}

func (e *Engine) logPath(lease market.Hash) string {
	return filepath.Join(e.cfg.Dir, lease.Hex()+".log")
}

func (e *Engine) openLog(lease market.Hash) (*logFile, error) {
	size, err := e.logSize(lease)
	if err != nil {
		return nil, fmt.Errorf("open the log of lease %s: %w", lease, err)
	}
	return &logFile{path: e.logPath(lease), size: size}, nil
}

// append adds what is new of data, which begins at offset, up to most bytes
// in all. It returns how many bytes it added.
func (l *logFile) append(offset uint64, data []byte, most int64) (int, error) {
	have := uint64(l.size) //nolint:gosec // not negative
	if offset > have {
		return 0, wire.Malformed("the log goes on at %d, %d bytes are here", offset, have)
	}
	if known := have - offset; known >= uint64(len(data)) {
		return 0, nil
	} else {
		data = data[known:]
	}
	if l.size+int64(len(data)) > most+logSlack {
		return 0, wire.Malformed("the log is longer than the leased %d bytes", most)
	}
	return l.write(data)
}

func (l *logFile) write(data []byte) (n int, err error) {
	if l.f == nil {
		if l.f, err = os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return 0, err
		}
	}
	l.dirty = true
	n, err = l.f.Write(data)
	l.size += int64(n)
	return n, err
}

// sync makes what was appended durable.
func (l *logFile) sync() error {
	if !l.dirty {
		return nil
	}
	l.dirty = false
	return l.f.Sync()
}

func (l *logFile) close() error {
	if l.f == nil {
		return nil
	}
	return errors.Join(l.sync(), l.f.Close())
}

// logSize is how long an execution's log is here; 0 where there is none.
func (e *Engine) logSize(lease market.Hash) (int64, error) {
	info, err := os.Stat(e.logPath(lease))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// logReader reads logs for who watches, and keeps the one open that it read last.
type logReader struct {
	path string
	f    *os.File
}

// readAt reads what there is of a log at offset, up to len(p) bytes. No log is
// an empty one.
func (l *logReader) readAt(path string, p []byte, offset int64) (int, error) {
	if l.f == nil || path != l.path {
		l.close()
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		l.f, l.path = f, path
	}
	n, err := l.f.ReadAt(p, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (l *logReader) close() {
	if l.f != nil {
		_ = l.f.Close() // read only: closing can lose nothing
		l.f = nil
	}
}
