package docker

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a container's first process, held so that it can be killed at
// once: the daemon takes a while for it on a busy machine.
type process struct{ fd int }

// holdProcess opens the process, if it is one of the container's: the daemon may
// count processes in another namespace than this node. It gives nil where it can't.
func holdProcess(pid int, container string) *process {
	if pid <= 1 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	// What is read now is of the process that is held, or of none.
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil || !strings.Contains(string(raw), container) || unix.PidfdSendSignal(fd, 0, nil, 0) != nil {
		_ = unix.Close(fd)
		return nil
	}
	return &process{fd: fd}
}

// kill ends the process and with it all others of its container, and says
// whether it was that which ended it.
func (p *process) kill(within time.Duration) bool {
	return p != nil && !p.dead(0) && unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0) == nil && p.dead(within)
}

// dead says whether the process ends in a while; all others of its container
// have then ended before it.
func (p *process) dead(within time.Duration) bool {
	until := time.Now().Add(within)
	for {
		left := max(time.Until(until), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(left.Milliseconds())) //nolint:gosec // a descriptor is small
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

func (p *process) release() {
	if p != nil {
		_ = unix.Close(p.fd)
	}
}
