//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"time"

	"souk/node/executor/wasm/control"
)

// memoryOverhead is what a guest's process may hold besides guest memory:
// the Go runtime, machine code, tables.
const memoryOverhead = 512 << 20 // bytes

// decide settles how the execution ended; what comes later changes nothing.
func (s *supervisor) decide(r control.Result) {
	if s.end != nil {
		return
	}
	r.Ran = s.ran()
	s.end = &r
}

func (s *supervisor) ran() time.Duration {
	if s.status.Started == 0 {
		return 0
	}
	return control.Monotonic() - s.status.Started
}

// measure reads what the guest's process used, and ends a guest whose memory
// outgrew its limit by other ways than guest memory.
func (s *supervisor) measure() {
	if s.dir == "" || s.end != nil {
		return
	}
	s.sample()
	if s.spec.Memory > 0 && s.status.Memory > s.spec.Memory+memoryOverhead {
		s.finish(control.Result{Cause: limitMemory})
	}
	s.tell()
}

// sample notes what the execution used of the live process.
func (s *supervisor) sample() {
	cpu, peak := s.guest.usage()
	s.status.CPU = max(s.status.CPU, cpu)
	s.status.Memory = max(s.status.Memory, peak)
}

// conclude runs when no process of the guest is left: it writes the result.
func (s *supervisor) conclude() error {
	if s.dir == "" {
		return nil
	}
	if s.end == nil {
		s.decide(s.unreported())
	}
	cpu, peak := s.guest.final()
	s.status.CPU = max(s.status.CPU, cpu)
	if s.runs == 1 { // else it may be that of an execution before
		s.status.Memory = max(s.status.Memory, peak)
	}
	return s.settle()
}

// settle completes the result, gives the workspace back what is its own, and
// writes the result there. Neither it nor the log is synced: a power loss ends
// the execution anyway, and whoever speaks of its result keeps it first.
func (s *supervisor) settle() error {
	if s.watching != nil {
		close(s.watching)
		s.watching = nil
	}
	if err := s.guest.close(); err != nil {
		*s.end = control.Result{Cause: failed, Detail: "the log could not be written: " + err.Error(), Ran: s.end.Ran}
	}
	if err := s.moveOut(); err != nil {
		*s.end = control.Result{Cause: failed, Detail: "the workspace could not be put in order: " + err.Error(), Ran: s.end.Ran}
	}
	s.overDisk()
	s.end.CPU, s.end.Memory = s.status.CPU, s.status.Memory
	if s.log != nil {
		s.end.Log = s.log.written
	}
	if s.listener != nil {
		s.listener.Close()
	}
	if err := control.Put(s.dir, control.ResultFile, s.end); err != nil {
		return fmt.Errorf("the result could not be written: %w", err)
	}
	return nil
}

// unreported is the result of a guest's process that ended without a word. If it
// ran out of memory while the guest ran, that was the guest's doing: tables and
// descriptors lie in the process's own memory.
func (s *supervisor) unreported() control.Result {
	if s.status.Started != 0 && s.guest.outOfMemory() {
		return control.Result{Cause: limitMemory}
	}
	return control.Result{Cause: failed, Detail: s.guest.crash()}
}

// overDisk catches a guest that went over its disk limit between two looks
// and ended.
func (s *supervisor) overDisk() {
	if s.spec.Outputs == "" || s.status.Started == 0 || s.end.Cause == stopped || s.end.Cause == failed {
		return
	}
	if held(filepath.Join(s.dir, control.OutDir), s.spec.Disk) > s.spec.Disk {
		s.end.Cause, s.end.ExitCode, s.end.Detail = limitDisk, 0, ""
	}
}
