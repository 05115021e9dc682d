// Package executor says what an execution is, and what whoever runs jobs must
// promise to the provider that leases them out.
//
// An Executor prepares a workspace, starts an execution in it, streams its
// output, reports what it used, stops it, and finds it again after the node
// was restarted or killed. It knows nothing of money, peers or leases, and it
// never trusts a job: every resource has a limit in Spec, and a job that hits
// one ends with that limit named in its Result.
//
// One conformance suite, executortest, runs against every implementation.
package executor

import (
	"context"
	"io"
	"time"

	"github.com/ipfs/go-cid"
)

// Source materialises content-addressed data on disk, out of what the owner of
// an execution has brought and nothing else.
type Source interface {
	// Export writes the UnixFS file or folder that root names to dst, which
	// must not exist. It writes no symbolic links and nothing outside dst, and fails with an
	// error before it has written more than maxBytes of content.
	Export(ctx context.Context, owner string, root cid.Cid, dst string, maxBytes int64) error
}

// Limits bounds one execution. Zero is not "unlimited": Prepare refuses it,
// apart from CPU, whose zero means one.
type Limits struct {
	CPU    int           // whole cores
	Memory int64         // bytes of guest memory
	Disk   int64         // bytes that the workspace may hold, inputs and outputs together
	Log    int64         // bytes of stdout and stderr together; the log is then cut with a notice
	Time   time.Duration // running time from Start
}

// Input is a file or folder that the job finds at the absolute guest path At.
type Input struct {
	At  string
	CID cid.Cid
}

// Spec is one execution, complete.
type Spec struct {
	// ID names the execution and its workspace: lower-case hex or base32, unique per node.
	ID string
	// Owner is the client's peer ID. Nothing that ran for one owner
	// (process, cache entry that it can influence) is reused for another.
	Owner string
	// Module is the WASM module's CID (wasm executor). One of Module and Image is set.
	Module cid.Cid
	Image  *Image            // container image (docker executor)
	Args   []string          // without the program's own name; of an image: what follows its entrypoint
	Env    map[string]string // nothing else but the image's own is in the guest's environment
	Inputs []Input
	// Outputs is the absolute guest path of the folder that comes back; empty if none does.
	Outputs string
	// RealTime lifts determinism: real clock and randomness instead of fixed ones.
	RealTime bool
	// Devices are the leased ones; the execution sees exactly these.
	Devices []Device
	// Egress is where the execution may connect to, as host:port; empty: nowhere.
	Egress []string
	Limits Limits
	// Progress, if set, is told in one short line how far Prepare is, such as
	// "pulling 120 of 800 MiB". It must not block.
	Progress func(string)
}

// Image is a container image, by exactly one of Ref and Archive.
type Image struct {
	// Ref is name@sha256:digest. The digest is the manifest's, or the image ID
	// of an image that came to this machine without a registry.
	Ref string
	// Archive is the CID of a file as "docker save" writes it.
	Archive cid.Cid
}

// Device is a leased device, as node/device names it.
type Device struct {
	ID        string // "GPU-5a0d...": the driver's UUID
	Vendor    string // "nvidia", "amd", "intel"; "" of a simulated one
	Simulated bool   // nothing is to be passed in
}

// Cause says why an execution ended.
type Cause string

// The causes. Exited and the Limit causes are the job's own doing; Failed is
// the provider's; Stopped is whoever called Stop.
const (
	Exited      Cause = "exited"
	LimitTime   Cause = "limit_time"
	LimitMemory Cause = "limit_memory"
	LimitDisk   Cause = "limit_disk"
	LimitLog    Cause = "limit_log" // reserved: by default the log is cut and the job goes on
	Trapped     Cause = "trapped"   // the guest trapped (unreachable, out of bounds, stack exhausted)
	Stopped     Cause = "stopped"
	Failed      Cause = "failed"
)

// Result is how an execution ended.
type Result struct {
	Cause    Cause
	ExitCode int           // meaningful for Exited
	Detail   string        // one sentence for a person, empty when Cause says it all
	Ran      time.Duration // monotonic running time from Start to the end
}

// Usage is what an execution used so far.
type Usage struct {
	Ran     time.Duration // monotonic running time since Start; 0 before
	CPU     time.Duration // user and system time
	Memory  int64         // bytes, highest seen
	Log     int64         // bytes of log so far
	Running bool
}

// Execution is one attempt at a job.
type Execution interface {
	ID() string
	// Start begins running guest code; it is called once.
	Start(ctx context.Context) error
	// Log reads the one append-only byte log from offset, blocking for more
	// until the execution ended and all was read (io.EOF) or ctx ends.
	Log(ctx context.Context, offset int64) (io.ReadCloser, error)
	Usage() Usage
	// Stop ends the execution within 1 s; its Result is Stopped unless it
	// had ended before. It is safe to call more than once.
	Stop(ctx context.Context) error
	// Done is closed when the execution has ended and its Result is on disk.
	Done() <-chan struct{}
	// Result is valid after Done.
	Result() Result
	// OutputDir is the folder on disk that holds the job's outputs; it is
	// valid after Done and until Remove, and "" where the Spec names none.
	OutputDir() string
	// LogFile is the file on disk that is the whole log; it is valid after Done
	// and until Remove, nothing changes it any more, and "" says that there is none.
	// Whoever links to it keeps it.
	LogFile() string
	// Remove deletes the workspace; the execution must have ended.
	Remove() error
}

// Executor runs jobs of one kind. Implementations are safe for concurrent use.
type Executor interface {
	// Kind is the name that offers and jobs use: "wasm".
	Kind() string
	// Check says whether jobs can run here, and if not what to do about it.
	Check(ctx context.Context) error
	// Prepare makes the workspace, lays the inputs in it and compiles the module;
	// no guest code runs. A *JobError is the job's own fault, any other error the provider's.
	Prepare(ctx context.Context, spec Spec) (Execution, error)
	// Recover finds every execution that a former process of this node left:
	// those still running go on, those that ended have their Result, those
	// that can't be had again have the Result Failed.
	Recover(ctx context.Context) ([]Execution, error)
	// Close leaves running executions running for a later Recover if detach
	// is true, and stops them otherwise.
	Close(detach bool) error
}

// JobError is a job that can't run anywhere: not a module, no _start, a path outside the workspace.
type JobError struct {
	Reason string // one sentence: what is wrong and what would be right
}

func (e *JobError) Error() string { return e.Reason }

// ProviderError is a failure of the provider's with what a client may be told of
// it. Other errors of a provider are for its own log: they may name its files,
// its network and what other programs said.
type ProviderError struct {
	Reason string // one sentence of this executor's own words
	Err    error  // the rest, for the log
}

func (e *ProviderError) Error() string { return e.Reason + ": " + e.Err.Error() }

// Unwrap gives the rest.
func (e *ProviderError) Unwrap() error { return e.Err }

// ImageError is an image that can't be had now: over its registry, and neither
// over the job nor over the provider.
type ImageError struct{ ProviderError }

// Unwrap gives what a client may be told.
func (e *ImageError) Unwrap() error { return &e.ProviderError }
