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
	MaxMillis      uint64   `json:"maxMillis"`
	InputBytes     int64    `json:"inputBytes,omitempty"`
	PriceLimit     *Amount  `json:"priceLimit,omitempty"` // per hour; absent: none
	Region         string   `json:"region,omitempty"`
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
	Evidence string `json:"evidence"` // Measured, Claimed or Simulated
}

// Terms is what a quote offers for its price; named by the quote's TermsHash.
type Terms struct {
	Network      string   `json:"network"`
	Devices      []Device `json:"devices,omitempty"`
	CPU          int      `json:"cpu"`
	Memory       int64    `json:"memory"`
	Disk         int64    `json:"disk"`
	Egress       string   `json:"egress"` // "none"
	Executor     string   `json:"executor"`
	Unit         string   `json:"unit"` // "ms" of running, or a meter's name
	PrepayTicks  uint32   `json:"prepayTicks"`
	CreditTicks  uint32   `json:"creditTicks"`
	KeepUntil    uint64   `json:"keepUntil"` // Unix ms: outputs are kept until then
	MaxOutput    int64    `json:"maxOutput"`
	MaxLog       int64    `json:"maxLog"`
	PricePerHour Amount   `json:"pricePerHour"`
}

// Job is what to run.
type Job struct {
	Name     string            `json:"name,omitempty"`
	WASM     cid.Cid           `json:"wasm"`
	Args     []string          `json:"args,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Inputs   []Input           `json:"inputs,omitempty"`
	Outputs  string            `json:"outputs,omitempty"` // absolute guest folder
	RealTime bool              `json:"realTime,omitempty"`
}

// Input is a file or folder that the job finds at an absolute guest path.
type Input struct {
	At  string  `json:"at"`
	CID cid.Cid `json:"cid"`
}

// Body is what a receipt stands on.
type Body struct {
	Cause      string   `json:"cause,omitempty"` // why it ended: executor.Cause
	ExitCode   *int     `json:"exitCode,omitempty"`
	Detail     string   `json:"detail,omitempty"`
	Outputs    *cid.Cid `json:"outputs,omitempty"`
	LogBytes   int64    `json:"logBytes,omitempty"`
	CPUMillis  int64    `json:"cpuMillis,omitempty"`
	PeakMemory int64    `json:"peakMemory,omitempty"`
	Simulated  bool     `json:"simulated,omitempty"` // the lease's GPUs were simulated
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

// DecodeBody reads a receipt body's block.
func DecodeBody(block []byte) (b Body, err error) {
	return b, decodeJSON(block, &b)
}
