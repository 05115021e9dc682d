package docker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

const probeBytes = 1 << 20 // of the disk that is only made to see that one can be

// tryDisk makes a job's disk and takes it away again, once for all in this
// process: what it needs isn't taken from a process that had it.
func (e *Executor) tryDisk(ctx context.Context) error {
	e.probing.Lock()
	defer e.probing.Unlock()
	if e.disks {
		return nil
	}
	dir, err := os.MkdirTemp(e.waste(), "probe-")
	if err != nil {
		return err
	}
	err = e.probe(ctx, dir)
	if err := errors.Join(err, unmount(filepath.Join(dir, diskDir)), os.RemoveAll(dir)); err != nil {
		return err
	}
	e.disks = true
	return nil
}

// probeDisk makes a disk as a job has it.
func probeDisk(ctx context.Context, dir string) error {
	_, err := makeDisk(ctx, dir, probeBytes)
	if o := (*Obstacle)(nil); err == nil || errors.As(err, &o) {
		return err
	}
	return &Obstacle{Why: "the disk that each container job has can't be made in " + filepath.Dir(filepath.Dir(dir)), Fix: "mend or free that disk", Err: err}
}
