//go:build linux

// Command souk-sandbox runs WebAssembly jobs for a souk provider.
//
// One binary plays four parts. `supervise` is the trusted parent of one
// execution at a time: it is told what to do over an inherited socket and one in
// the workspace, keeps the limits by killing, writes the log and the result, and
// ends by itself when its node has been gone too long. `guest` is its child,
// which loads modules and runs jobs of one client in turn, shut in by rlimits,
// Landlock and a system call filter; nothing that it says is trusted beyond the
// fate of its client's jobs. `compile` translates one module to machine code in a process of
// its own, and `check` tells what isolation this kernel has.
//
// A guest's loop can't be interrupted from inside its process, so nothing in
// that process is relied on to stop it: the supervisor kills it, and the
// kernel kills it when the supervisor dies.
package main

import (
	"fmt"
	"os"
	"runtime"
)

// The thread that starts the guest must live as long as the process: the
// kernel kills a guest when the thread that started it ends.
func init() { runtime.LockOSThread() }

func main() {
	parts := map[string]func() error{
		"supervise": supervise,
		"guest":     guest,
		"compile":   compile,
		"check":     check,
	}
	var part func() error
	if len(os.Args) > 1 {
		part = parts[os.Args[1]]
	}
	if part == nil {
		fmt.Fprintln(os.Stderr, "souk-sandbox is started by souk and has no use on its own")
		os.Exit(2)
	}
	if err := part(); err != nil {
		fmt.Fprintln(os.Stderr, "souk-sandbox:", err)
		os.Exit(1)
	}
}
