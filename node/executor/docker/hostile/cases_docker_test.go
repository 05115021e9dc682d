//go:build dockertest

package hostile_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"souk/node/executor"
)

// end is how an execution may end: with a cause, and of one that exited, a code.
type end struct {
	cause executor.Cause
	code  int
}

var (
	contained = end{executor.Exited, 0}
	killed    = end{executor.LimitMemory, 0}
	diskFull  = end{executor.LimitDisk, 0}
	timeUp    = end{executor.LimitTime, 0}
)

// behaviour is one hostile program and how it may end.
type behaviour struct {
	name   string
	ends   []end // none: contained
	adjust func(*executor.Spec)
	// look sees from outside what only the executor counts.
	look func(executor.Execution) error
	// virtual is what may work on a runtime with a kernel of its own.
	virtual []string
}

func short(s *executor.Spec) { s.Limits.Time = 2 * time.Second }

// flood may go on until its time is up: how fast it goes depends on the runtime.
func flood(s *executor.Spec) { s.Limits.Time = 10 * time.Second }

// behaviours are all that is tried, by theme.
func behaviours() []behaviour {
	plain := func(names ...string) (all []behaviour) {
		for _, name := range names {
			all = append(all, behaviour{name: name})
		}
		return all
	}
	all := []behaviour{
		{name: "fork-bomb", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "thread-bomb", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "zombie-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "ignore-signals", ends: []end{timeUp}, adjust: short},
		{name: "freeze", ends: []end{timeUp}, adjust: short},

		{name: "memory-anonymous", ends: []end{killed}},
		{name: "memory-shared", ends: []end{killed}},
		{name: "memory-file", ends: []end{killed, diskFull, {executor.Exited, 2}}},
		{name: "memory-shm", ends: []end{killed, contained}},
		{name: "memory-memfd", ends: []end{killed}},
		{name: "memory-locked", ends: []end{killed, contained}},
		{name: "memory-children", ends: []end{killed, contained}},
		{name: "memory-sysv", ends: []end{killed, contained}},
		{name: "page-cache", ends: []end{contained, diskFull}},

		{name: "disk-fill", ends: []end{diskFull}},
		{name: "disk-volume", ends: []end{diskFull, contained}},
		{name: "disk-unlinked", ends: []end{diskFull, contained}},
		{name: "disk-allocate", ends: []end{diskFull, contained}},
		{name: "disk-sparse", ends: []end{diskFull, contained}},
		{name: "inode-fill", ends: []end{diskFull, contained}},
		{name: "links", ends: []end{diskFull, contained}},

		{name: "outputs-symlinks"},
		{name: "outputs-special"},
		{name: "outputs-names"},
		{name: "outputs-deep", ends: []end{contained, diskFull}},
		{name: "outputs-image", adjust: func(s *executor.Spec) { s.Outputs = "/link" }},

		{name: "log-arguments", adjust: func(s *executor.Spec) {
			for range 24 {
				s.Args = append(s.Args, strings.Repeat("argument", 128))
			}
		}},
		{name: "pipe-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "socket-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "files-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "timer-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "inotify-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
		{name: "name-flood", ends: []end{contained, killed, timeUp}, adjust: flood},
	}
	all = append(all, plain("daemonize", "kill-outside", "rlimits", "core-dump", "swap", "read-only-root",
		"write-inputs", "outputs-setuid", "outputs-locked", "outputs-replaced", "log-flood", "log-no-lines", "log-frames",
		"log-closed", "device-mknod", "device-gpu", "sys-write", "kernel-memory", "proc-sys", "modules", "bpf", "io-uring",
		"kernel-log", "clock", "exotic-sockets", "new-capabilities", "mount", "setns", "cgroup", "egress-tcp", "egress-udp",
		"egress-dns", "metadata", "interfaces", "docker-socket", "neighbours", "own-program", "leaked-files", "machine-file",
		"environment", "first-process")...)
	return append(all,
		behaviour{name: "cpu-burn", look: oneCore},
		behaviour{name: "kill-all", ends: []end{{executor.Exited, 137}}}, // itself, and nobody else
		// gVisor has these in its own kernel, where they reach nothing of the machine's.
		behaviour{name: "priority", virtual: []string{"nice -20", "never being chosen when memory runs out"}},
		behaviour{name: "device-probe", virtual: []string{"/dev/fuse", "/dev/net/tun"}},
		behaviour{name: "keyrings", virtual: []string{"a session keyring", "reading the session keyring"}},
		behaviour{name: "unshare", virtual: []string{
			"a new user namespace", "a new user and mount namespace", "a new user and network namespace",
		}},
	)
}

// oneCore is that no more was used than one core, which is leased, over the whole run.
func oneCore(x executor.Execution) error {
	used, ran := x.Usage().CPU, x.Result().Ran
	if used > ran*13/10 {
		return fmt.Errorf("it used %v of processor time in %v with one core leased", used, ran)
	}
	if used == 0 {
		return errors.New("nobody counted its processor time")
	}
	return nil
}
