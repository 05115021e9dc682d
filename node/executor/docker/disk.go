package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	diskSlack   = 8 << 20  // bytes that a disk has over its limit, so that going over it can be seen
	bytesPerIno = 16 << 10 // of a disk's limit, for each file that it can hold
	minInodes   = 1 << 10
	maxInodes   = 1 << 20
	inodeBytes  = 256
)

// disk is an execution's writable space: a file system of its own.
type disk struct {
	Loop bool  // an ext4 image; else a tmpfs, which counts into the job's memory
	Base int64 // bytes in use when it was new
}

func inodes(limit int64) int64 { return min(max(limit/bytesPerIno, minInodes), maxInodes) }

// makeDisk mounts a new disk in the workspace dir for at most limit bytes, which
// the caller looks after; the file system itself ends a little later. The image is
// sparse, and without a journal: nothing on it outlives this machine's next start.
func makeDisk(ctx context.Context, dir string, limit int64) (d disk, err error) {
	at := filepath.Join(dir, diskDir)
	if err := os.Mkdir(at, 0o700); err != nil {
		return d, err
	}
	err = makeImage(ctx, filepath.Join(dir, diskFile), limit)
	if err == nil {
		err = mountImage(filepath.Join(dir, diskFile), at)
	}
	if d.Loop = err == nil; !d.Loop {
		_ = os.Remove(filepath.Join(dir, diskFile))
		if err := mountMemory(at, limit); err != nil {
			return d, err
		}
	}
	_ = os.Remove(filepath.Join(at, "lost+found"))
	if err := os.Chmod(at, 0o755); err != nil {
		return d, err
	}
	for _, name := range []string{outDir, scratchDir, volumesDir} {
		if err := os.Mkdir(filepath.Join(at, name), 0o700); err != nil {
			return d, err
		}
	}
	// Whatever user the daemon maps nobody to can write; who is outside can't get here.
	for _, name := range []string{outDir, scratchDir} {
		if err := os.Chmod(filepath.Join(at, name), 0o777); err != nil {
			return d, err
		}
	}
	d.Base, err = inUse(at)
	return d, err
}

func makeImage(ctx context.Context, path string, limit int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size := limit + limit/64 + diskSlack + inodes(limit)*inodeBytes
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-O", "^has_journal,^resize_inode",
		"-E", "lazy_itable_init=1,nodiscard", "-m", "0", "-b", "4096", "-N", strconv.FormatInt(inodes(limit), 10), path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %.200s", err, out)
	}
	return nil
}

const mountFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME

// mountImage mounts an ext4 image by a loop device that the kernel lets go of with the mount.
func mountImage(image, at string) error {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	loop, err := attachLoop(file)
	if err != nil {
		return err
	}
	defer loop.Close()
	return unix.Mount(loop.Name(), at, "ext4", mountFlags, "errors=continue")
}

const loopTries = 64 // others take loop devices too

func attachLoop(file *os.File) (*os.File, error) {
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer ctl.Close()
	for range loopTries {
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		loop, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
			Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}, //nolint:gosec // a descriptor is small
		})
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
	}
	return nil, errors.New("no loop device is free")
}

func mountMemory(at string, limit int64) error {
	options := fmt.Sprintf("size=%d,nr_inodes=%d,mode=0755", limit+diskSlack, inodes(limit))
	if err := unix.Mount("souk", at, "tmpfs", mountFlags, options); err != nil {
		return &Obstacle{
			Why: "this node may not mount the disk of limited size that each container job has",
			Fix: "run it as root (sudo souk provide; docs/install.md has what the Debian package's service needs)", Err: err,
		}
	}
	return nil
}

// remount brings back the disk of a workspace after this machine was restarted.
func (d disk) remount(dir string) error {
	at := filepath.Join(dir, diskDir)
	if mounted(at) || !d.Loop {
		return nil
	}
	return mountImage(filepath.Join(dir, diskFile), at)
}

// mounted says whether at is the root of a file system of its own.
func mounted(at string) bool {
	var here, above unix.Stat_t
	if unix.Lstat(at, &here) != nil || unix.Lstat(filepath.Dir(at), &above) != nil {
		return false
	}
	return here.Dev != above.Dev
}

func unmount(at string) error {
	if !mounted(at) {
		return nil
	}
	err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(at, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("the job's disk could not be unmounted: %w", err)
	}
	return nil
}

// inUse is how many bytes of the file system at path are taken.
func inUse(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize, nil //nolint:gosec // sizes of disks
}

// full says whether no file can be made any more.
func full(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Files > 0 && st.Ffree == 0
}
