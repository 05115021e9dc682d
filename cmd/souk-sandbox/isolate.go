//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"souk/node/executor/wasm/control"
)

const (
	addressSpace   = 8 << 30 // bytes besides guest memory; Go reserves much that it never touches
	compileSpace   = 4 << 30 // bytes of addresses for compiling
	compileSeconds = 60      // processor time for compiling
	compiledFile   = 1 << 30 // bytes of machine code
	openFiles      = 256
)

// shutIn takes from this process all that a guest's needs not. What it can't
// change any more is the same for all executions that the process may run.
func shutIn(spec control.Spec) error {
	if err := setLimits(map[int]uint64{
		unix.RLIMIT_AS:     uint64(spec.Memory) + addressSpace,
		unix.RLIMIT_FSIZE:  uint64(spec.File),
		unix.RLIMIT_NOFILE: openFiles,
		unix.RLIMIT_CORE:   0,
	}); err != nil {
		return err
	}
	return confine([]grant{
		{filepath.Join(spec.Box, control.BoxRead), readTree},
		{filepath.Join(spec.Box, control.BoxWrite), writeTree},
	})
}

// shutInCompiler leaves a compiling process one folder to write, whose files
// need not be durable: the cache holds them against a checksum.
func shutInCompiler(cache string) error {
	if err := setLimits(map[int]uint64{
		unix.RLIMIT_AS:     compileSpace,
		unix.RLIMIT_CPU:    compileSeconds,
		unix.RLIMIT_FSIZE:  compiledFile,
		unix.RLIMIT_NOFILE: openFiles,
		unix.RLIMIT_CORE:   0,
	}); err != nil {
		return err
	}
	return confine([]grant{{cache, writeTree}}, unix.SYS_FSYNC)
}

func setLimits(limits map[int]uint64) error {
	signal.Ignore(unix.SIGXFSZ) // a write past the limit then fails with EFBIG
	for which, n := range limits {
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit %d could not be set to %d: %w", which, n, err)
		}
	}
	return nil
}

// confine applies what the kernel has, in the order in which it must be done.
// Where calls can be filtered, the idle ones do nothing, and succeed.
func confine(grants []grant, idle ...uint32) error {
	if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("no_new_privs could not be set: %w", err)
	}
	if err := landlock(grants); err != nil {
		return fmt.Errorf("landlock could not be set: %w", err)
	}
	if err := filterCalls(idle...); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("the system call filter could not be set: %w", err)
	}
	return nil
}

// check prints what isolation a guest would have here, by shutting itself in.
func check() error {
	found := control.Isolation{Landlock: landlockABI()}
	found.Threads = allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1) == nil && !linkedWithC()
	found.Seccomp = filterCalls() == nil
	return json.NewEncoder(os.Stdout).Encode(found)
}
