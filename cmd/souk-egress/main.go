//go:build linux

// Command souk-egress goes before a job's own program in a container that has
// no network, and brings the job's connections to its node.
//
//	souk-egress HOST:PORT=ADDRESS... -- PROGRAM [ARGUMENT...]
//
// It listens on every ADDRESS and PORT, starts itself again as the forwarder,
// and then becomes PROGRAM: its process, signals, open files and exit status are the
// job's own. The forwarder is a child of that process in a session of its own, and
// ends with the container. It is in the same jail as the job and is trusted with
// nothing: what it may reach is the node's to decide.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"souk/node/executor/docker/egress/forward"
	"souk/node/executor/docker/egress/frame"
)

// Exit statuses, as Docker's own are.
const (
	exitSelf       = 125 // souk-egress itself failed
	exitNoProgram  = 126 // the job's program can't be run
	exitNotFound   = 127 // there is no such program
	firstListening = 3   // file descriptor of the forwarder's first socket
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == frame.Forward {
		forwarder(os.Args[2:])
	}
	entries, program, err := parse(os.Args[1:])
	if err != nil {
		quit(exitSelf, err)
	}
	if err := startForwarder(entries); err != nil {
		quit(exitSelf, err)
	}
	become(program)
}

// forwarder serves the sockets that it was started with, one for each name. It
// lives as long as the container.
func forwarder(names []string) {
	// A job that ends its whole session may still want to send something.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	runtime.GOMAXPROCS(2) // the processor is the job's
	listeners := make([]net.Listener, len(names))
	for i, name := range names {
		file := os.NewFile(uintptr(firstListening+i), name)
		l, err := net.FileListener(file)
		if err != nil {
			quit(exitSelf, err)
		}
		file.Close()
		listeners[i] = l
	}
	forward.Serve(names, listeners, os.Stderr)
	os.Exit(exitSelf)
}

func quit(status int, err error) {
	fmt.Fprintln(os.Stderr, "souk-egress:", err)
	os.Exit(status)
}

// entry is one place that the job may connect to.
type entry struct {
	name   string // host:port, as the job knows it
	listen netip.AddrPort
}

func parse(args []string) (entries []entry, program []string, err error) {
	at := slices.Index(args, frame.Separator)
	if at < 1 || at > frame.MaxEntries || at == len(args)-1 {
		return nil, nil, errors.New("HOST:PORT=ADDRESS... -- PROGRAM [ARGUMENT...] would be right; souk puts it before a job's program, and it has no use elsewhere")
	}
	for _, text := range args[:at] {
		e, err := parseEntry(text)
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, e)
	}
	return entries, args[at+1:], nil
}

func parseEntry(text string) (entry, error) {
	name, address, found := strings.Cut(text, "=")
	_, portText, err := net.SplitHostPort(name)
	addr, addrErr := netip.ParseAddr(address)
	port, portErr := strconv.ParseUint(portText, 10, 16)
	if !found || errors.Join(err, addrErr, portErr) != nil || !addr.IsLoopback() {
		return entry{}, fmt.Errorf("%q is no HOST:PORT=ADDRESS with an address of the loopback interface", text)
	}
	return entry{name, netip.AddrPortFrom(addr, uint16(port))}, nil
}

// startForwarder opens every socket and hands them to the forwarder, so that
// the job can connect as soon as it runs.
func startForwarder(entries []entry) error {
	self, err := os.Executable()
	if err != nil {
		self = frame.Helper // no /proc
	}
	cmd := exec.Command(self, frame.Forward)
	cmd.Env = []string{}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what the job sends its own group isn't for the forwarder
	for _, e := range entries {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(e.listen))
		if err != nil {
			return fmt.Errorf("the way to %s can't be opened inside the container: %w", e.name, err)
		}
		file, err := l.File()
		if err != nil {
			return err
		}
		cmd.Args = append(cmd.Args, e.name)
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	return cmd.Start()
}

// become runs the job's program in this process. It doesn't return.
func become(program []string) {
	path, err := exec.LookPath(program[0])
	if err == nil {
		err = syscall.Exec(path, program, os.Environ())
	}
	status := exitNoProgram
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		status = exitNotFound
	}
	quit(status, fmt.Errorf("the job's program %q can't be run: %w", program[0], err))
}
