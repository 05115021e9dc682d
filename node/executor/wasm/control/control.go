// Package control is what the wasm executor and its sandbox process say to
// each other: JSON lines over a Unix socket, and small files in the workspace.
//
// It is all that the two programs share, and imports only the standard
// library and golang.org/x/sys. Nothing in it comes from a guest: the guest's
// process speaks Report to its supervisor and to nobody else.
package control

import "time"

// The names of files and folders in a workspace.
const (
	SpecFile   = "spec.json"    // the Spec, written once when the workspace is ready
	ResultFile = "result.json"  // a Result, written once at the end
	LogFile    = "log"          // stdout and stderr, append-only
	SocketFile = "control.sock" // the supervisor listens here
	RootDir    = "root"         // the guest's "/": the inputs, read-only
	OutDir     = "out"          // the guest's Outputs folder
)

// The names in a box, to which a guest's process is shut in. Beside BoxRoot lies
// a folder for each module, called by its CID.
const (
	BoxRead  = "read"        // what the guest may read
	BoxWrite = "write"       // where it may write
	BoxRoot  = "read/root"   // the RootDir of the execution that runs
	BoxOut   = "write/out"   // its OutDir
	BoxFile  = "module.wasm" // in a module's folder: the module
	BoxCode  = "compiled"    // in a module's folder: its machine code
)

// OrphanGrace is how long an execution outlives the last connection to its
// node. The project promises 10 s; the rest is for killing and writing.
const OrphanGrace = 8 * time.Second

// Op is what a node asks of a supervisor.
type Op string

// The operations. Each is answered by the Status that it leads to.
const (
	OpPrepare Op = "prepare" // load the module for the workspace Dir
	OpStart   Op = "start"   // run it
	OpStop    Op = "stop"    // kill it
)

// Command is one line from a node to a supervisor.
type Command struct {
	Op   Op
	Dir  string `json:",omitempty"` // absolute path of the workspace, for OpPrepare
	Spec *Spec  `json:",omitempty"` // for OpPrepare
}

// Spec is one execution as the sandbox sees it. Paths in the workspace are fixed.
type Spec struct {
	ID       string
	Owner    string
	Box      string // absolute path of the sandbox's box
	Module   string // its CID, the name of its folder in the box
	Args     []string
	Env      []string // NAME=value, sorted
	Outputs  string   // absolute guest path, or empty
	RealTime bool
	CPU      int           // cores
	Memory   int64         // bytes of guest memory
	Disk     int64         // bytes that the outputs may hold
	File     int64         // bytes that one file may hold, the same for all executions of a sandbox
	Log      int64         // bytes
	Time     time.Duration // from start
}

// State is where a supervisor is.
type State string

// The states, in order.
const (
	Spare     State = "spare"
	Preparing State = "preparing"
	Ready     State = "ready"
	Running   State = "running"
	Ended     State = "ended"
)

// Status is one line from a supervisor to a node, sent on attaching and at
// every change worth telling.
type Status struct {
	State   State
	Started time.Duration // monotonic clock of this boot when guest code began; 0 before
	CPU     time.Duration
	Memory  int64 // bytes, highest seen
	Log     int64 // bytes
	// Result is set with Ended, by a supervisor that is ready for another
	// execution. Others end, and leave it on disk.
	Result *Result `json:",omitempty"`
}

// Result is how an execution ended; Cause is an executor.Cause.
type Result struct {
	Cause    string
	ExitCode int
	Detail   string
	Ran      time.Duration
	CPU      time.Duration
	Memory   int64
	Log      int64
}

// Report is one line from a guest's process to its supervisor.
type Report struct {
	Up       bool   // the process is there
	Ready    bool   // the module is loaded
	Cause    string // set at the end
	ExitCode int
	Detail   string
	Wrote    int64 // bytes of output, set at the end
	Again    bool  // the process waits for another execution of its client
}

// Compile is what a compiling child is asked for, as a line of JSON on its stdin
// that the module follows. It stays open: when it closes the child ends.
type Compile struct {
	Bytes int // of the module
}

// Verdict is what a compiling child answers on stdout.
type Verdict struct {
	Refused   string // why the module can't run anywhere, one sentence; empty if it can
	MinMemory int64  // bytes that the module asks for at the start, where it says so
}

// Isolation is what `souk-sandbox check` finds, as JSON on stdout.
type Isolation struct {
	Landlock int  // ABI version; 0 is none
	Seccomp  bool // a system call filter can be set
	Threads  bool // Landlock covers every thread (false in a binary built with cgo)
}
