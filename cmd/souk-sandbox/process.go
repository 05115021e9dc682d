//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"souk/node/executor/wasm/control"
)

const (
	maxReports = 1 << 16 // bytes that a guest's process may report
	maxCrash   = 4 << 10 // bytes of a crash kept
)

// guestOrder and guestGo are the lines that a guest's process reads on stdin.
type guestOrder struct {
	Dir  string
	Spec control.Spec
}

type guestGo struct{ Go bool }

// process is the guest's process as its supervisor sees it.
type process struct {
	cmd    *exec.Cmd
	orders *json.Encoder
	log    chan logSink // where the log goes, once known
	sink   logSink      // valid after gone
	stderr strings.Builder
	gone   chan struct{} // closed when the process ended and all it wrote was read
}

// startGuest starts the guest's process, which waits for its orders. It must
// be called on the main thread.
func startGuest(s *supervisor) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "guest"), log: make(chan logSink, 1), gone: make(chan struct{})}
	p.cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=single", "GODEBUG=asyncpreemptoff=1"}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var ends [8]*os.File // stdin, stdout, stderr, reports: reading and writing ends
	for i := 0; i < len(ends); i += 2 {
		if ends[i], ends[i+1], err = os.Pipe(); err != nil {
			return nil, err
		}
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = ends[0], ends[3], ends[5]
	p.cmd.ExtraFiles = []*os.File{ends[7]}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the guest's process could not be started: %w", err)
	}
	for _, theirs := range []*os.File{ends[0], ends[3], ends[5], ends[7]} {
		theirs.Close()
	}
	p.orders = json.NewEncoder(ends[1])
	go p.watch(s, ends[2], ends[4], ends[6])
	return p, nil
}

// watch reads all that the process writes, then waits for its end.
func (p *process) watch(s *supervisor, stdout, stderr, reports *os.File) {
	logged, crashed := make(chan struct{}), make(chan struct{})
	go func() { defer close(logged); p.copyLog(s, stdout) }()
	go func() {
		defer close(crashed)
		_, _ = io.Copy(&p.stderr, io.LimitReader(stderr, maxCrash))
		_, _ = io.Copy(io.Discard, stderr)
	}()
	dec := json.NewDecoder(io.LimitReader(reports, maxReports))
	for {
		var r control.Report
		if dec.Decode(&r) != nil {
			break
		}
		s.inbox <- func() { s.report(r) }
	}
	<-logged
	<-crashed
	_ = p.cmd.Wait()
	close(p.gone)
}

func (p *process) order(line any) error { return p.orders.Encode(line) }

// kill ends the process; its system call filter let it start no other.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// usage reads processor time and the highest resident memory of the live process.
func (p *process) usage() (time.Duration, int64) {
	proc := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	stat, _ := os.ReadFile(proc + "stat")
	status, _ := os.ReadFile(proc + "status")
	return cpuTime(string(stat)), peakMemory(string(status))
}

// final is usage after the process ended.
func (p *process) final() (time.Duration, int64) {
	state := p.cmd.ProcessState
	ru, _ := state.SysUsage().(*syscall.Rusage)
	if ru == nil {
		return 0, 0
	}
	return state.UserTime() + state.SystemTime(), ru.Maxrss << 10
}

// crash says how a process ended that reported nothing.
func (p *process) crash() string {
	how := "the sandbox ended without a result: " + p.cmd.ProcessState.String()
	if line, _, _ := strings.Cut(p.stderr.String(), "\n"); line != "" {
		how += ": " + line
	}
	return how
}

// outOfMemory tells whether Go's runtime ended the process because the kernel
// gave it no more addresses or memory. It says so in words only.
func (p *process) outOfMemory() bool {
	said := p.stderr.String()
	return p.cmd.ProcessState.ExitCode() == 2 &&
		(strings.Contains(said, "runtime: out of memory") || strings.Contains(said, "runtime: cannot allocate memory"))
}

// cpuTime reads utime and stime from /proc/PID/stat, in ticks of 10 ms.
func cpuTime(stat string) time.Duration {
	_, rest, _ := strings.Cut(stat, ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// peakMemory reads VmHWM from /proc/PID/status, in bytes.
func peakMemory(status string) int64 {
	_, rest, _ := strings.Cut(status, "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}
