package provider

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"souk/node/executor"
	"souk/protocol/market"
)

// An ended execution's log is kept beside the ledger until the lease is
// closed and its time is over, because its workspace goes at once.

func (p *Provider) logPath(lease market.Hash) string {
	return filepath.Join(p.Dir, lease.Hex()+logSuffix)
}

// keepLog keeps the log of an ended execution, durably.
func (l *lease) keepLog(ctx context.Context, exec executor.Execution) error {
	path := l.p.logPath(l.hash)
	part := path + partSuffix
	err := os.Remove(part) // of an attempt before; it may be a link, which is not to be written to
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if linkLog(exec.LogFile(), part) != nil {
		err = copyLog(ctx, exec, part)
	} else {
		err = syncFile(part)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	if err := os.Remove(part); !errors.Is(err, os.ErrNotExist) {
		return err // it was kept before a crash: two names of one file are not renamed
	}
	return nil
}

var errNoFile = errors.New("the log is no file")

// linkLog makes path another name of a log that nothing changes any more. It
// fails where that lies on another disk, and where there is none.
func linkLog(log, path string) error {
	if log == "" {
		return errNoFile
	}
	return os.Link(log, path)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func copyLog(ctx context.Context, exec executor.Execution, path string) error {
	from, err := exec.Log(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, from, make([]byte, 256<<10))
	return errors.Join(err, f.Sync(), f.Close())
}

// openLog reads a lease's log from offset: from its execution while there is
// one, else what was kept. No log is an empty one.
func (l *lease) openLog(ctx context.Context, exec executor.Execution, offset uint64) (io.ReadCloser, error) {
	if exec != nil {
		return exec.Log(ctx, int64(min(offset, 1<<62))) //nolint:gosec // capped
	}
	f, err := os.Open(l.p.logPath(l.hash))
	if errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(eof{}), nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(int64(min(offset, 1<<62)), io.SeekStart); err != nil { //nolint:gosec // capped
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
