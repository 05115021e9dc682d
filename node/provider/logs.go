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

// keepLog copies the log of an ended execution, durably.
func (l *lease) keepLog(ctx context.Context, exec executor.Execution) error {
	from, err := exec.Log(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	path := l.p.logPath(l.hash)
	f, err := os.OpenFile(path+partSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, from, make([]byte, 256<<10))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+partSuffix))
	}
	return os.Rename(path+partSuffix, path)
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
