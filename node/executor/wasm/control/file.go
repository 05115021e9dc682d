package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const maxFile = 1 << 20 // bytes of any JSON file in a workspace

// Write puts v into dir/name so that after a crash the file is there whole or
// not at all: written aside, synced, renamed, and the folder synced.
func Write(dir, name string, v any) error {
	if err := put(dir, name, v, (*os.File).Sync); err != nil {
		return err
	}
	return SyncDir(dir)
}

// Put is Write without syncing: after a kill the file is there whole or not at
// all, and after a power loss it may be missing or damaged. That is enough for
// what says how a process stands, which a power loss ends.
func Put(dir, name string, v any) error {
	return put(dir, name, v, func(*os.File) error { return nil })
}

func put(dir, name string, v any, sync func(*os.File) error) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	aside := filepath.Join(dir, "."+name)
	f, err := os.OpenFile(aside, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, sync(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(aside, filepath.Join(dir, name))
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read fills v from dir/name; the error is os.ErrNotExist where there is none.
func Read(dir, name string, v any) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s of a workspace is damaged: %w", name, err)
	}
	return nil
}

// Monotonic is the time since this machine's boot without its sleeps. It is the
// same for all processes, so a node that comes back goes on counting from the
// Started of a supervisor, which never outlives a boot.
func Monotonic() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
