package market

import "github.com/ipfs/go-cid"

// The DAG-JSON documents of a lease: what was asked for (Request), what is
// leased (Terms), what is run (Job) and what a receipt stands on (Body).
// Encode gives the block that is hashed and sent; sizes are bytes, times ms.

// GPUNeed is which GPU a client needs.
type GPUNeed struct {
	Name  string `json:"name"` // as written: "RTX4090", "A100-80GB", "any"
	Count int    `json:"count"`
	VRAM  int64  `json:"vram,omitempty"` // bytes per device, at least
}

// Request is what a client needs.
type Request struct {
	Network        string   `json:"network"`
	Executor       string   `json:"executor"`
	CPU            int      `json:"cpu"`
	Memory         int64    `json:"memory"`
	Disk           int64    `json:"disk"`
	GPU            *GPUNeed `json:"gpu,omitempty"`
	AllowSimulated bool     `json:"allowSimulated,omitempty"`
	Exclusive      bool     `json:"exclusive,omitempty"` // nobody else may be on the GPUs meanwhile
	MaxMillis      uint64   `json:"maxMillis"`
	InputBytes     int64    `json:"inputBytes,omitempty"`
	PriceLimit     *Amount  `json:"priceLimit,omitempty"` // per hour; absent: none
	Region         string   `json:"region,omitempty"`
	Egress         []string `json:"egress,omitempty"`   // host:port that the job may connect to; absent: none
	Platform       string   `json:"platform,omitempty"` // that an image was made for, "linux/amd64"; absent: not known
}

// What a device's figures rest on.
const (
	Measured  = "measured"
	Claimed   = "claimed"
	Simulated = "simulated"
)

// Device is one kind of leased GPU.
type Device struct {
	Model    string `json:"model"`
	Slug     string `json:"slug"`
	VRAM     int64  `json:"vram"`
	Count    int    `json:"count"`
	Evidence string `json:"evidence"`         // Measured, Claimed or Simulated
	Shared   bool   `json:"shared,omitempty"` // in terms: other leases may be on it at the same time
}

// Terms is what a quote offers for its price; named by the quote's TermsHash.
type Terms struct {
	Network      string   `json:"network"`
	Devices      []Device `json:"devices,omitempty"`
	CPU          int      `json:"cpu"`
	Memory       int64    `json:"memory"`
	Disk         int64    `json:"disk"`
	Egress       []string `json:"egress,omitempty"` // host:port that the job may connect to; absent: none
	Executor     string   `json:"executor"`
	Unit         string   `json:"unit"` // "ms" of running, or a meter's name
	PrepayTicks  uint32   `json:"prepayTicks"`
	CreditTicks  uint32   `json:"creditTicks"`
	KeepUntil    uint64   `json:"keepUntil"` // Unix ms: outputs are kept until then
	MaxOutput    int64    `json:"maxOutput"`
	MaxLog       int64    `json:"maxLog"`
	PricePerHour Amount   `json:"pricePerHour"`
}

// Kinds of job, which are the names of the executors that run them.
const (
	KindWASM   = "wasm"
	KindDocker = "docker"
)

// Job is what to run: a WASM module or a container image.
type Job struct {
	Name     string            `json:"name,omitempty"`
	WASM     cid.Cid           `json:"wasm,omitzero"` // one of WASM and Image
	Image    *Image            `json:"image,omitempty"`
	Args     []string          `json:"args,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Inputs   []Input           `json:"inputs,omitempty"`
	Outputs  string            `json:"outputs,omitempty"` // absolute guest folder
	RealTime bool              `json:"realTime,omitempty"`
}

// Image is a container image, by one of Ref and Archive.
type Image struct {
	Ref     string  `json:"ref,omitempty"`    // name@sha256:DIGEST, with a tag perhaps
	Archive cid.Cid `json:"archive,omitzero"` // a file as "docker save" writes it
}

// Kind is the executor that the job needs.
func (j Job) Kind() string {
	if j.Image != nil {
		return KindDocker
	}
	return KindWASM
}

// Program is the DAG of what is run, undefined where that isn't sent: an
// image that its provider pulls.
func (j Job) Program() cid.Cid {
	if j.Image != nil {
		return j.Image.Archive
	}
	return j.WASM
}

// Roots are the DAGs that the client sends, what is run first.
func (j Job) Roots() (roots []cid.Cid) {
	if p := j.Program(); p.Defined() {
		roots = append(roots, p)
	}
	for _, in := range j.Inputs {
		roots = append(roots, in.CID)
	}
	return roots
}

// Input is a file or folder that the job finds at an absolute guest path.
type Input struct {
	At  string  `json:"at"`
	CID cid.Cid `json:"cid"`
}

// CauseUnfit is the cause of a lease that ended before its process began, and
// not over its provider: the job can't run there, or its image can't be had.
const CauseUnfit = "unfit"

// MinImageMemory is the least memory of an image's job; no container starts with less.
const MinImageMemory = 6 << 20

// Body is what a receipt stands on.
type Body struct {
	Cause      string   `json:"cause,omitempty"` // why it ended: executor.Cause, or CauseUnfit
	ExitCode   *int     `json:"exitCode,omitempty"`
	Detail     string   `json:"detail,omitempty"`
	Outputs    *cid.Cid `json:"outputs,omitempty"`
	LogBytes   int64    `json:"logBytes,omitempty"`
	CPUMillis  int64    `json:"cpuMillis,omitempty"`
	PeakMemory int64    `json:"peakMemory,omitempty"`
	Simulated  bool     `json:"simulated,omitempty"` // the lease's GPUs were simulated
	// Devices is how the leased devices were used when the receipt was made.
	Devices []DeviceUse `json:"devices,omitempty"`
}

// DeviceUse is what a device's driver reports at one moment.
type DeviceUse struct {
	ID          string `json:"id"`          // the driver's own name of it
	Model       string `json:"model"`       // as in the terms
	Utilisation int    `json:"utilisation"` // percent
	Memory      int64  `json:"memory"`      // bytes in use
	Celsius     int    `json:"celsius"`
	Watts       int    `json:"watts"`
}

// Encode is the request's block.
func (r Request) Encode() ([]byte, error) { return encodeJSON(r) }

// Encode is the terms' block.
func (t Terms) Encode() ([]byte, error) { return encodeJSON(t) }

// Encode is the job's block.
func (j Job) Encode() ([]byte, error) { return encodeJSON(j) }

// Encode is the body's block.
func (b Body) Encode() ([]byte, error) { return encodeJSON(b) }

// DecodeRequest reads a request's block and validates it.
func DecodeRequest(block []byte) (r Request, err error) {
	if err = decodeJSON(block, &r); err != nil {
		return Request{}, err
	}
	return r, r.Validate()
}

// DecodeTerms reads the terms' block and validates it.
func DecodeTerms(block []byte) (t Terms, err error) {
	if err = decodeJSON(block, &t); err != nil {
		return Terms{}, err
	}
	return t, t.Validate()
}

// DecodeJob reads a job's block and validates it.
func DecodeJob(block []byte) (j Job, err error) {
	if err = decodeJSON(block, &j); err != nil {
		return Job{}, err
	}
	return j, j.Validate()
}

// DecodeBody reads a receipt body's block and validates it.
func DecodeBody(block []byte) (b Body, err error) {
	if err = decodeJSON(block, &b); err != nil {
		return Body{}, err
	}
	return b, b.Validate()
}
