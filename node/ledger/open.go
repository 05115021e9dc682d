package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// Open opens the ledger in dir, which it creates (0700) where there is none.
// ErrInUse: a process, this one perhaps, has it open. ErrCorrupt: what is
// there can't be a ledger's. Other errors are the disk's.
func Open(dir string, opts Options) (*Ledger, error) {
	l := &Ledger{
		log:    opts.Log,
		writer: make(chan struct{}, 1),
		stop:   make(chan struct{}),
		ended:  make(chan error, 1),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	base := opts.FS
	if base == nil {
		base = vfs.Default
	}
	if err := makeDir(base, dir); err != nil {
		return nil, fmt.Errorf("no directory for the ledger: %w", err)
	}
	l.dir = dir
	if opts.FS == nil {
		// The lock is found by its name, so one directory needs one name.
		real, err := realPath(dir)
		if err != nil {
			return nil, fmt.Errorf("no directory for the ledger: %w", err)
		}
		l.dir = real
	}
	l.fs = newFreezer(base, l.diskFailed)
	none := make(chan struct{})
	close(none)
	l.last.Store(&none)
	if err := l.openStore(); err != nil {
		return nil, err
	}
	go l.keep()
	return l, nil
}

func (l *Ledger) openStore() error {
	lock, err := pebble.LockDirectory(l.dir, l.fs)
	if err != nil {
		return l.lockError(err)
	}
	l.lock = lock
	if err := l.begin(); err != nil {
		_ = lock.Close()
		return l.openError(err)
	}
	db, err := openPebble(l.dir, l.storeOptions())
	if err != nil {
		_ = lock.Close()
		return l.openError(err)
	}
	l.db = db
	if l.mark, err = openMark(l.fs, l.dir); err == nil {
		err = l.compare()
	}
	if broken := l.Healthy(); broken != nil {
		err = broken
	}
	if err != nil {
		_ = closeStore(db)
		_ = l.mark.close()
		_ = lock.Close()
		return err
	}
	return nil
}

// The store's own names for the file that one process locks, and for the one
// that says which format it has.
const (
	lockName     = "LOCK"
	formatMarker = "format-version"
)

// begin gives a new store the newest format. By itself it goes through all of
// them since the oldest, with three synced files and folders for each.
func (l *Ledger) begin() error {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, func(n string) bool { return n != lockName }) {
		return nil // a store, or what a crash left of one
	}
	marker, _, err := atomicfs.LocateMarkerInListing(l.fs, l.dir, formatMarker, names)
	if err != nil {
		return err
	}
	return errors.Join(marker.Move(pebble.FormatNewest.String()), marker.Close())
}

// storeOptions: no failure that the store reports may end the process or pass
// unseen, so each becomes this ledger's reason to take no more work.
func (l *Ledger) storeOptions() *pebble.Options {
	return &pebble.Options{
		FS:                 l.fs,
		Lock:               l.lock,
		Logger:             storeLog{l},
		Merger:             tallies(),
		FormatMajorVersion: pebble.FormatNewest, // its WAL tells a torn tail from a flipped bit
		MaxOpenFiles:       256,
		EventListener: &pebble.EventListener{
			BackgroundError: l.background,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { _ = l.damaged(i.Details) },
			LowDiskSpace: func(i pebble.LowDiskSpaceInfo) {
				l.log.Warn("the ledger's disk is nearly full", "free", i.AvailBytes, "total", i.TotalBytes)
			},
		},
	}
}

func (l *Ledger) background(err error) {
	if pebble.IsCorruptionError(err) {
		_ = l.damaged(err)
		return
	}
	l.fs.freeze(err)
}

// openPebble turns a panic over a mangled file into an error.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("the store can't read its files: %v", r)
		}
	}()
	return pebble.Open(dir, o)
}

func (l *Ledger) openError(err error) error {
	if l.fs.isFrozen() {
		return l.Healthy()
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("can't read the ledger in %s: %w", l.dir, err)
	}
	return corrupt(l.dir, err)
}

// lockError tells a held lock from a directory that can't be locked: the
// system says EAGAIN or EACCES for another process, the library an error
// without a number for this one.
func (l *Ledger) lockError(err error) error {
	var path *fs.PathError
	var errno syscall.Errno
	held := !errors.As(err, &errno) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES)
	if errors.As(err, &path) || !held {
		return fmt.Errorf("can't lock the ledger in %s: %w", l.dir, err)
	}
	return fmt.Errorf("%w: another souk process holds %s; stop it or use another --data-dir", ErrInUse, l.dir)
}

// makeDir makes dir and syncs the parent of each directory that it made, or a
// power loss could take the whole ledger with the directory's name.
func makeDir(fsys vfs.FS, dir string) error {
	var parents []string
	for d := dir; ; d = fsys.PathDir(d) {
		if _, err := fsys.Stat(d); err == nil || d == fsys.PathDir(d) {
			break
		}
		parents = append(parents, fsys.PathDir(d))
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range parents {
		if err := syncDir(fsys, p); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// storeLog is the store's logger. The store calls Fatalf where it would have
// the process end; here the disk is left as it is and the process goes on.
type storeLog struct{ l *Ledger }

func (s storeLog) Infof(f string, a ...any)  { s.l.log.Debug(fmt.Sprintf(f, a...)) }
func (s storeLog) Errorf(f string, a ...any) { s.l.log.Warn(fmt.Sprintf(f, a...)) }
func (s storeLog) Fatalf(f string, a ...any) { s.l.fs.freeze(fmt.Errorf(f, a...)) }
