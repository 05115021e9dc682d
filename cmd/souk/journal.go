package main

import (
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// toJournal tells whether this process's standard error goes to systemd's
// journal, which has times of its own: JOURNAL_STREAM names its device and inode.
func (a *app) toJournal() bool {
	f, ok := a.err.(*os.File)
	if !ok {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil { //nolint:gosec // a file descriptor is small
		return false
	}
	return a.env("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// withoutTime leaves the time out of a log's lines.
func withoutTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return attr
}
