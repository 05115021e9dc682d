//go:build linux

package main

import "syscall"

// failed is nil only if the system call worked.
func failed(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
