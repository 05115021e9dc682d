package frame

import (
	"net"

	"golang.org/x/sys/unix"
)

// Hung says whether the other end of c is closed altogether, rather than for
// writing alone. Seen at the end of what c had to read, it tells a connection
// that broke off from one whose other side has said all.
func Hung(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	hung := true
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		for {
			n, err := unix.Poll(fds, 0)
			if err == unix.EINTR {
				continue
			}
			hung = err != nil || n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
			return
		}
	})
	return err != nil || hung
}
