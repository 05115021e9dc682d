//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
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

// supervisor owns one execution. Only its loop touches its fields.
type supervisor struct {
	inbox  chan func()
	guest  *process
	conns  map[*conn]struct{}
	status control.Status
	dir    string
	spec   control.Spec

	deadline <-chan time.Time // loading or running time is up
	orphan   <-chan time.Time // no node for too long
	linger   <-chan time.Time // the guest reported its end and is still there
	logged   <-chan time.Time // tell nodes about new log
	end      *control.Result  // how it ended, once decided
}

func supervise() error {
	file := os.NewFile(3, "node")
	node, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("descriptor 3 must be a socket to the node: %w", err)
	}
	file.Close()
	s := &supervisor{
		inbox:  make(chan func()),
		conns:  map[*conn]struct{}{},
		status: control.Status{State: control.Spare},
	}
	if s.guest, err = startGuest(s); err != nil {
		return err
	}
	s.adopt(node)
	return s.run()
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
	if len(s.conns) > 0 {
		return
	}
	if s.status.State == control.Spare {
		s.guest.kill()
		return
	}
	s.orphan = time.After(control.OrphanGrace)
}

func (s *supervisor) do(cmd control.Command) {
	switch {
	case s.end != nil:
	case cmd.Op == control.OpPrepare && cmd.Spec != nil && s.status.State == control.Spare:
		s.prepare(cmd.Dir, *cmd.Spec)
	case cmd.Op == control.OpStart && s.status.State == control.Ready:
		s.start()
	case cmd.Op == control.OpStop:
		s.finish(control.Result{Cause: stopped})
	}
}

func (s *supervisor) prepare(dir string, spec control.Spec) {
	s.dir, s.spec = dir, spec
	s.status.State = control.Preparing
	s.deadline = time.After(loadTimeout)
	if err := s.open(); err != nil {
		s.finish(control.Result{Cause: failed, Detail: err.Error()})
	}
	s.tell()
}

// open takes the workspace: its socket, its log, and the guest's orders.
func (s *supervisor) open() error {
	// A socket's path may have 107 bytes; a relative one always fits.
	if err := os.Chdir(s.dir); err != nil {
		return err
	}
	l, err := net.Listen("unix", control.SocketFile)
	if err != nil {
		return err
	}
	go s.accept(l)
	log, err := os.OpenFile(control.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.guest.log <- logSink{file: log, limit: s.spec.Log}
	return s.guest.order(guestOrder{Dir: s.dir, Spec: s.spec})
}

// start lets the guest run.
func (s *supervisor) start() {
	s.deadline = time.After(s.spec.Time)
	s.status.State, s.status.Started = control.Running, control.Monotonic()
	if err := s.guest.order(guestGo{Go: true}); err != nil {
		s.finish(control.Result{Cause: failed, Detail: "the execution could not be started: " + err.Error()})
	}
	if s.spec.Outputs != "" {
		go s.watchDisk()
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

// report is what the guest's process said.
func (s *supervisor) report(r control.Report) {
	switch {
	case s.end != nil:
	case r.Cause != "":
		s.decide(control.Result{Cause: r.Cause, ExitCode: r.ExitCode, Detail: r.Detail})
		s.linger = time.After(exitTimeout)
	case r.Ready && s.status.State == control.Preparing:
		s.status.State, s.deadline = control.Ready, nil
		s.tell()
	}
}

// finish ends the execution from outside.
func (s *supervisor) finish(r control.Result) {
	s.decide(r)
	s.guest.kill()
}
