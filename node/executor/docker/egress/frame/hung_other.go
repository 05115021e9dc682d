//go:build !linux

package frame

import "net"

// Hung says whether the other end of c is closed altogether. It is known on Linux
// alone, where containers run.
func Hung(*net.UnixConn) bool { return false }
