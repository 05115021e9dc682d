package docker

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// The names of files and folders in a workspace.
const (
	recordFile  = "record.json"  // a record, written once when the container is made
	startedFile = "started.json" // a started, written right before the start
	resultFile  = "result.json"  // a result, written once at the end
	logFile     = "log"          // stdout and stderr, append-only
	markFile    = "mark"         // where the log is in the daemon's
	inputsDir   = "inputs"       // the inputs by number
	diskFile    = "disk.img"     // the writable disk's image
	diskDir     = "disk"         // where it is mounted
	outDir      = "out"          // in the disk: the guest's Outputs folder
	scratchDir  = "tmp"          // in the disk: the guest's /tmp
	volumesDir  = "volumes"      // in the disk: the volumes that the image declares, by number
)

// scratch is where every job may write.
const scratch = "/tmp"

// record is an execution as it is kept on disk.
type record struct {
	ID        string
	Owner     string
	Container string // the daemon's ID
	Image     string // the daemon's ID
	Outputs   string // guest path, or empty
	Egress    []string
	Limits    executor.Limits
	Disk      disk
	Cgroup    string // the parent cgroup's name, or empty
}

// spec is what an egress hook is told of an execution that is taken up again.
func (r record) spec() executor.Spec {
	return executor.Spec{ID: r.ID, Owner: r.Owner, Egress: r.Egress, Outputs: r.Outputs, Limits: r.Limits}
}

// started is when guest code began, on this boot's monotonic clock.
type started struct {
	At   time.Duration
	Boot string
}

// result is how an execution ended and what it used.
type result struct {
	Cause    executor.Cause
	ExitCode int
	Detail   string
	Ran      time.Duration
	CPU      time.Duration
	Memory   int64
	Log      int64
}

// boot names the time since this machine was started.
func boot() string {
	raw, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(raw)
}

// discard removes a workspace with all that is mounted in it, by way of the
// waste folder: a crash half-way leaves nothing that looks like a workspace.
func (e *Executor) discard(dir string) error {
	if err := unmount(filepath.Join(dir, diskDir)); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(e.waste(), "")
	if err != nil {
		return err
	}
	err = os.Rename(dir, filepath.Join(aside, "workspace"))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, remove(aside))
}

// remove deletes a folder with the workspaces in it; a disk that is still
// mounted there is unmounted first.
func remove(dir string) error {
	mounted, err := filepath.Glob(filepath.Join(dir, "*", "workspace", diskDir))
	if err != nil {
		return err
	}
	for _, at := range mounted {
		if err := unmount(at); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

func (x *execution) keep(name string, v any) error { return control.Write(x.dir, name, v) }
