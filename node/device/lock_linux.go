package device

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A device's lock is a name in the kernel: an abstract socket that listens and
// that nobody ever talks to. No file is left behind, no folder need be open to
// everybody, processes of all users see one another, the kernel frees the name
// when its process ends however that happens, and it alone says which one that
// is. Processes in two network namespaces don't see each other's names.
type lock struct{ socket int }

const (
	lockPrefix = "\x00souk/device/"
	maxLock    = 100 // bytes; the kernel takes 107
	backlog    = 64  // asks who holds it before the last of them isn't told
)

func lockName(id string) *unix.SockaddrUnix {
	name := lockPrefix + id
	return &unix.SockaddrUnix{Name: "@" + name[1:min(len(name), maxLock)]}
}

// lockDevice takes the lock, or says with a *HeldError who has it.
func lockDevice(id string) (deviceLock, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err = unix.Bind(fd, lockName(id)); err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err == nil {
		return &lock{fd}, nil
	}
	_ = unix.Close(fd)
	if !errors.Is(err, unix.EADDRINUSE) {
		return nil, err
	}
	if held := checkDevice(id); held != nil {
		return nil, held
	}
	return nil, &HeldError{} // gone in between: the next look gets it
}

func (l *lock) Close() error { return unix.Close(l.socket) }

func (l *lock) forget() {
	for {
		fd, _, err := unix.Accept4(l.socket, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.Close(fd)
	}
}

// checkDevice is nil if nobody has the lock, else a *HeldError.
func checkDevice(id string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	switch err := unix.Connect(fd, lockName(id)); {
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	case err != nil:
		return &HeldError{} // too many asked at once
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	held := &HeldError{PID: int(cred.Pid)}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cred.Pid)); err == nil {
		held.Name = strings.TrimSpace(string(comm))
	}
	return held
}
