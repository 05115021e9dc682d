//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"souk/node/executor/wasm/control"
)

const (
	loadTimeout  = 60 * time.Second       // loading a compiled module
	exitTimeout  = 500 * time.Millisecond // from a guest's last report to its end
	measureEvery = 250 * time.Millisecond
	logEvery     = 20 * time.Millisecond // at most one status about the log in this time
)

// The causes that a supervisor gives; executor.Cause has them all.
const (
	limitTime   = "limit_time"
	limitMemory = "limit_memory"
	limitDisk   = "limit_disk"
	stopped     = "stopped"
	failed      = "failed"
)

// supervisor owns one guest's process and one execution at a time. Only its
// loop touches its fields.
type supervisor struct {
	inbox chan func()
	guest *process
	home  *conn // the node that started it, while that is attached
	conns map[*conn]struct{}
	runs  int // executions so far
	execution
}

// execution is what is new with each one.
type execution struct {
	status   control.Status
	dir      string // empty while there is none
	spec     control.Spec
	listener net.Listener
	log      *logSink
	watching chan struct{} // closed to end looking at the outputs

	deadline <-chan time.Time // loading or running time is up
	orphan   <-chan time.Time // no node for too long
	linger   <-chan time.Time // the guest reported its end and isn't done yet
	logged   <-chan time.Time // tell nodes about new log
	end      *control.Result  // how it ended, once decided
	report   control.Report   // the guest's last
}

func supervise() error {
	file := os.NewFile(3, "node")
	node, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("descriptor 3 must be a socket to the node: %w", err)
	}
	file.Close()
	s := &supervisor{
		inbox:     make(chan func()),
		conns:     map[*conn]struct{}{},
		execution: execution{status: control.Status{State: control.Spare}},
	}
	if s.guest, err = startGuest(s); err != nil {
		return err
	}
	s.home = s.adopt(node) // which is told when the guest is there
	// This goroutine is tied to the main thread, which would make each of the
	// loop's turns a switch of threads.
	done := make(chan error)
	go func() { done <- s.run() }()
	return <-done
}

// run is the loop; it returns when the guest's process is gone and the result
// is on disk. Other goroutines end with the process.
func (s *supervisor) run() error {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-s.inbox:
			f()
		case <-tick.C:
			s.measure()
		case <-s.logged:
			s.logged = nil
			s.tell()
		case <-s.deadline:
			s.timeUp()
		case <-s.orphan:
			s.finish(control.Result{Cause: failed, Detail: "the provider's node was gone for too long"})
		case <-s.linger:
			s.guest.kill()
		case <-s.guest.gone:
			return s.conclude()
		}
	}
}

func (s *supervisor) tell() {
	for c := range s.conns {
		c.tell(s.status)
	}
}

func (s *supervisor) lost(c *conn) {
	delete(s.conns, c)
	close(c.mail)
	if c == s.home {
		s.home = nil
	}
	if len(s.conns) > 0 {
		return
	}
	if s.dir == "" {
		s.guest.kill()
		return
	}
	s.orphan = time.After(control.OrphanGrace)
}

func (s *supervisor) do(cmd control.Command) {
	switch {
	case s.end != nil:
	case cmd.Op == control.OpPrepare && cmd.Spec != nil && s.dir == "":
		s.prepare(cmd.Dir, *cmd.Spec)
	case cmd.Op == control.OpStart && s.status.State == control.Ready:
		s.start()
	case cmd.Op == control.OpStop && s.dir != "":
		s.finish(control.Result{Cause: stopped})
	}
}

func (s *supervisor) prepare(dir string, spec control.Spec) {
	s.execution = execution{dir: dir, spec: spec, status: control.Status{State: control.Preparing}}
	s.runs++
	s.deadline = time.After(loadTimeout)
	if err := s.open(); err != nil {
		s.finish(control.Result{Cause: failed, Detail: err.Error()})
	}
	s.tell()
}

// open takes the workspace: its socket, its log, what the guest may see, and the
// guest's orders.
func (s *supervisor) open() error {
	// A socket's path may have 107 bytes; a relative one always fits.
	if err := os.Chdir(s.dir); err != nil {
		return err
	}
	var err error
	if s.listener, err = net.Listen("unix", control.SocketFile); err != nil {
		return err
	}
	go s.accept(s.listener)
	log, err := os.OpenFile(control.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.log = &logSink{file: log, limit: s.spec.Log}
	s.guest.begin(s.log)
	if err := s.moveIn(); err != nil {
		return err
	}
	return s.guest.order(guestOrder{Spec: s.spec})
}

// start lets the guest run.
func (s *supervisor) start() {
	s.deadline = time.After(s.spec.Time)
	s.status.State, s.status.Started = control.Running, control.Monotonic()
	if err := s.guest.order(guestGo{Go: true}); err != nil {
		s.finish(control.Result{Cause: failed, Detail: "the execution could not be started: " + err.Error()})
	}
	if s.spec.Outputs != "" {
		s.watching = make(chan struct{})
		go s.watchDisk(filepath.Join(s.spec.Box, control.BoxOut), s.spec.Disk, s.watching)
	}
	s.tell()
}

func (s *supervisor) timeUp() {
	if s.status.State == control.Running {
		s.finish(control.Result{Cause: limitTime})
		return
	}
	// A module that compiled and can't be loaded is nobody's plan.
	if s.status.State == control.Preparing {
		s.finish(control.Result{Cause: failed, Detail: "the compiled module took too long to load"})
	}
}

// told is what the guest's process reported.
func (s *supervisor) told(r control.Report) {
	switch {
	case r.Up && s.runs == 0:
		s.tell()
	case s.dir == "": // a guest that speaks unasked is none to keep
		s.guest.kill()
	case s.end != nil:
	case r.Cause != "":
		s.decide(control.Result{Cause: r.Cause, ExitCode: r.ExitCode, Detail: r.Detail})
		s.report, s.deadline = r, nil
		s.linger = time.After(exitTimeout)
		s.release()
	case r.Ready && s.status.State == control.Preparing:
		s.status.State, s.deadline = control.Ready, nil
		if s.runs == 1 {
			s.guest.own, _ = s.guest.files() // without them it is not used again
		}
		s.tell()
	}
}

// finish ends the execution from outside.
func (s *supervisor) finish(r control.Result) {
	s.decide(r)
	s.sample()
	s.guest.kill()
}
