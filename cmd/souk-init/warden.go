//go:build linux

package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/node/executor/docker/pid1"
)

const (
	lookEvery = 5 * time.Second // at the time and at the node's sign
	// reapAtOnce is how many orphans are reaped before the time is looked at: a
	// job may make them as fast as they are taken away.
	reapAtOnce = 64
)

// signals are those of this process: of its children, and others.
type signals struct {
	child  chan os.Signal // one is enough, whatever it is for
	others chan os.Signal // for the job
}

// The signals that are not passed on: the kernel lets nobody catch the first two,
// and Go and C libraries need the others for themselves.
var ours = map[syscall.Signal]bool{unix.SIGKILL: true, unix.SIGSTOP: true, unix.SIGCHLD: true, unix.SIGURG: true, 32: true, 33: true}

const lastSignal = 64

func listen() signals {
	s := signals{make(chan os.Signal, 1), make(chan os.Signal, lastSignal)}
	signal.Notify(s.child, unix.SIGCHLD)
	for n := syscall.Signal(1); n <= lastSignal; n++ {
		if !ours[n] {
			signal.Notify(s.others, n)
		}
	}
	return s
}

// warden waits for the end of a job, or brings it about.
type warden struct {
	job     int
	until   time.Time
	sign    sign
	signals signals
}

// run gives this process's exit status. It looks at the time whatever the job
// does to keep it busy.
func (w *warden) run() int {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	end := time.NewTimer(time.Until(w.until))
	defer end.Stop()
	for {
		if status, ended := w.reap(); ended {
			return status
		}
		if !time.Now().Before(w.until) || w.sign.gone() {
			return pid1.ExitKilled
		}
		select {
		case <-w.signals.child:
		case s := <-w.signals.others:
			_ = unix.Kill(w.job, s.(syscall.Signal)) // it is reaped here alone, so the number is its own
		case <-look.C:
			w.sign.look()
		case <-end.C:
		}
	}
}

// reap takes away some of the children that ended, and says how the job did.
func (w *warden) reap() (status int, ended bool) {
	for range reapAtOnce {
		var s unix.WaitStatus
		pid, err := unix.Wait4(-1, &s, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || pid <= 0:
			return 0, false
		case pid == w.job:
			return exitStatus(s), true
		}
	}
	select { // there may be more
	case w.signals.child <- unix.SIGCHLD:
	default:
	}
	return 0, false
}

// exitStatus is how shells and Docker write the end of a process.
func exitStatus(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// sign is a file that the node touches while it lives. It is on a read-only
// mount, and not the job's. Clocks are not compared: any change counts.
type sign struct {
	path    string
	most    time.Duration // without a change
	touched unix.Timespec
	seen    time.Time // of the newest change, by this process's clock
}

func newSign(path string, most time.Duration) sign {
	s := sign{path: path, most: most, seen: time.Now()}
	s.look()
	return s
}

func (s *sign) look() {
	var st unix.Stat_t
	if unix.Stat(s.path, &st) == nil && st.Mtim != s.touched {
		s.touched, s.seen = st.Mtim, time.Now()
	}
}

func (s *sign) gone() bool { return time.Since(s.seen) >= s.most }
