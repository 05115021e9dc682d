package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Held tells whether another process has the ledger in dir open. It takes no
// lock, so it keeps nobody from opening it. It must not be asked of a ledger
// that this process has open: the system would free that one's lock.
func Held(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the ledger's lock: %w", err)
	}
	defer f.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &held); err != nil {
		return false, fmt.Errorf("look at the ledger's lock: %w", err)
	}
	return held.Type != unix.F_UNLCK, nil
}
