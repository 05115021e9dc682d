//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/node/executor/wasm/control"
)

const (
	maxReport = 1 << 16 // bytes of one report of a guest's process
	maxCrash  = 4 << 10 // bytes of a crash kept
)

// guestOrder and guestGo are the lines that a guest's process reads on stdin.
type guestOrder struct{ Spec control.Spec }

type guestGo struct{ Go bool }

// process is the guest's process as its supervisor sees it.
type process struct {
	cmd    *exec.Cmd
	proc   string // its folder in /proc
	orders *json.Encoder
	gone   chan struct{} // closed when the process ended and all it wrote was read
	own    []string      // files that it had open before it ran any guest
	before time.Duration // processor time that executions before this one used

	mu     sync.Mutex
	sink   *logSink // where the log goes; nil outside an execution
	seen   int64    // bytes of output of this execution
	stray  bool     // there was output outside one
	stderr strings.Builder
}

// startGuest starts the guest's process, which waits for its orders. It must
// be called on the main thread.
func startGuest(s *supervisor) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "guest"), gone: make(chan struct{})}
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
	p.proc = fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	p.orders = json.NewEncoder(ends[1])
	go p.watch(s, ends[2], ends[4], ends[6])
	return p, nil
}

// watch reads all that the process writes, then waits for its end.
func (p *process) watch(s *supervisor, stdout, stderr, reports *os.File) {
	logged, crashed := make(chan struct{}), make(chan struct{})
	go func() { defer close(logged); p.copyLog(s, stdout) }()
	go func() { defer close(crashed); p.copyCrash(stderr) }()
	lines := bufio.NewReaderSize(reports, maxReport)
	for {
		line, err := lines.ReadSlice('\n')
		var r control.Report
		if err != nil || json.Unmarshal(line, &r) != nil {
			break
		}
		s.inbox <- func() { s.told(r) }
	}
	_, _ = io.Copy(io.Discard, reports)
	<-logged
	<-crashed
	_ = p.cmd.Wait()
	close(p.gone)
}

func (p *process) order(line any) error { return p.orders.Encode(line) }

// kill ends the process; its system call filter let it start no other.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// copyCrash keeps the beginning of what the process says on stderr.
func (p *process) copyCrash(from io.Reader) {
	buf := make([]byte, maxCrash)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		p.stderr.Write(buf[:min(n, maxCrash-p.stderr.Len())])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// begin makes what is measured and written from here on that of one execution.
func (p *process) begin(log *logSink) {
	p.before = p.cpu()
	_ = os.WriteFile(p.proc+"clear_refs", []byte("5"), 0) // forget the highest memory; it is only a figure
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sink, p.seen = log, 0
}

// usage reads processor time and the highest resident memory of the live process.
func (p *process) usage() (time.Duration, int64) {
	status, _ := os.ReadFile(p.proc + "status")
	return p.cpu() - p.before, peakMemory(string(status))
}

// cpu is the processor time of the live process, by its clock.
func (p *process) cpu() time.Duration {
	const schedClock = 2 // CPUCLOCK_SCHED, of all threads together
	var ts unix.Timespec
	if unix.ClockGettime(int32(^p.cmd.Process.Pid)<<3|schedClock, &ts) != nil {
		return p.before
	}
	return time.Duration(ts.Nano())
}

// final is usage after the process ended.
func (p *process) final() (time.Duration, int64) {
	state := p.cmd.ProcessState
	ru, _ := state.SysUsage().(*syscall.Rusage)
	if ru == nil {
		return 0, 0
	}
	return state.UserTime() + state.SystemTime() - p.before, ru.Maxrss << 10
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

// peakMemory reads VmHWM from /proc/PID/status, in bytes.
func peakMemory(status string) int64 {
	_, rest, _ := strings.Cut(status, "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}
