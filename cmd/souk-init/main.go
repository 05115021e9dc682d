//go:build linux

// Command souk-init is the first process of a container. It runs the job's
// program, and sees to it that nothing of the container outlives the job's time
// limit, or its node for long.
//
//	souk-init -limit=DURATION -gone=DURATION -sign=FILE -- PROGRAM [ARGUMENT...]
//
// It starts as root with the few capabilities that it takes to become two other
// users: the job is one of them, without any capability, and souk-init itself
// the other. So the job may not signal, stop, trace or slow down the process
// that ends it, on runc and on gVisor alike, and it holds nothing that a job
// could want. Once this process ends, the kernel kills all others of the
// container.
//
// It passes the signals that it gets from outside on to the job, reaps what is
// orphaned, and ends with the job's own exit status, or 128 and the number of
// the signal that ended the job.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"souk/node/executor/docker/pid1"
)

func main() {
	began := time.Now()
	orders, program, err := pid1.Parse(os.Args[1:])
	if err != nil {
		quit(pid1.ExitSelf, err)
	}
	spare()
	signals := listen()
	job, err := start(program, pid1.Uncover(os.Environ()))
	if err != nil {
		quit(statusOf(err), fmt.Errorf("the job's program %q can't be run: %w", program[0], err))
	}
	if err := settle(); err != nil {
		quit(pid1.ExitSelf, err)
	}
	w := warden{job: job, until: began.Add(orders.Limit), sign: newSign(orders.Sign, orders.Gone), signals: signals}
	os.Exit(w.run()) // and all others with it
}

func quit(status int, err error) {
	fmt.Fprintln(os.Stderr, "souk-init:", err)
	os.Exit(status)
}

// statusOf is the exit status for a program that can't be run.
func statusOf(err error) int {
	var own *selfError
	switch {
	case errors.As(err, &own):
		return pid1.ExitSelf
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return pid1.ExitNotFound
	}
	return pid1.ExitNoProgram
}

// threads are as many as this process ever uses at once, with some to spare.
const threads = 5

// spare makes all threads that Go will want: once the job has as many processes
// as it may, there are none to be had, and Go ends a program that gets none. It
// leaves the processor and the memory to the job.
func spare() {
	debug.SetGCPercent(-1) // what this process allocates in a month is less than a collection costs
	debug.SetMemoryLimit(math.MaxInt64)
	runtime.GOMAXPROCS(1)
	ready, done := make(chan struct{}), make(chan struct{})
	for range threads {
		go func() {
			runtime.LockOSThread() // until it is unlocked, no other goroutine has this thread
			ready <- struct{}{}
			done <- struct{}{}
			runtime.UnlockOSThread()
		}()
	}
	for range threads {
		<-ready
	}
	for range threads {
		<-done
	}
}
