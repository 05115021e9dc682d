//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func floods() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"files-flood":   filesFlood,
		"inotify-flood": inotifyFlood,
		"pipe-flood":    pipeFlood,
		"socket-flood":  socketFlood,
		"timer-flood":   timerFlood,
		"name-flood":    nameFlood,
	}
}

// flood repeats until refused; what it takes is the kernel's memory, so beyond is
// how many would be more than the lease pays for.
func flood(what string, beyond int, one func(i int) error) outcome {
	for i := range beyond {
		if err := one(i); err != nil {
			return contained("%s %d: %v", what, i+1, err)
		}
	}
	return escaped("%d %s were taken", beyond, what)
}

func filesFlood(facts) outcome {
	return flood("open files", 1<<21, func(int) error {
		_, err := unix.Open("/", unix.O_RDONLY|unix.O_PATH, 0)
		return err
	})
}

func inotifyFlood(facts) outcome {
	return flood("inotify instances", 1<<16, func(i int) error {
		fd, err := unix.InotifyInit1(0)
		if err != nil {
			return err
		}
		_, err = unix.InotifyAddWatch(fd, "/tmp", unix.IN_ALL_EVENTS)
		return err
	})
}

// pipeFlood fills pipes: memory that belongs to no process.
func pipeFlood(f facts) outcome {
	block := make([]byte, 4096)
	return queue(f, "pipes", func() (func() error, error) {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
			return nil, err
		}
		_, _ = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 1<<20)
		return func() error { _, err := unix.Write(p[1], block); return err }, nil
	})
}

// socketFlood fills the queues of sockets that nobody reads.
func socketFlood(f facts) outcome {
	block := make([]byte, 4096)
	return queue(f, "sockets", func() (func() error, error) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		return func() error { _, err := unix.Write(p[0], block); return err }, nil
	})
}

// queue opens one after another and writes 4 KiB at a time into each until it takes no more.
func queue(f facts, what string, open func() (write func() error, err error)) outcome {
	var taken int64
	for i := 0; taken < beyond(f); i++ {
		write, err := open()
		if err != nil {
			return contained("%d %s hold %d MiB: %v", i, what, taken>>20, err)
		}
		for write() == nil && taken < beyond(f) {
			taken += 4096
		}
	}
	return escaped("%d MiB wait in %s with %d MiB leased", taken>>20, what, f.Memory>>20)
}

func timerFlood(facts) outcome {
	return flood("timers", 1<<20, func(int) error {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0)
		if err != nil {
			return err
		}
		often := unix.NsecToTimespec(int64(time.Millisecond))
		return unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: often, Value: often}, nil)
	})
}

// nameFlood fills the kernel's cache of names with ones that don't exist.
func nameFlood(facts) outcome {
	const names = 50_000
	long := "/tmp/" + strings.Repeat("n", 200)
	for i := range names {
		_ = unix.Access(fmt.Sprintf("%s%d", long, i), unix.F_OK)
	}
	return contained("%d names that don't exist were asked for", names)
}
