package docker

import (
	"os"
	"strconv"
	"strings"

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
// whether it could.
func (p *process) kill() bool {
	return p != nil && unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0) == nil
}

func (p *process) release() {
	if p != nil {
		_ = unix.Close(p.fd)
	}
}
