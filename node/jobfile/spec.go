// Package jobfile reads what a user writes about a job, as YAML, JSON or
// command-line flags, and says exactly what is wrong with it.
//
// It promises that a Spec which it returns can be sent: sizes, times, prices
// and guest paths are within souk's limits, the module is a readable WASM
// program with a _start function or the image has a name or is a readable
// archive, every input exists, and Write gives a file
// that reads back as the same Spec. Errors name the file, line and field, or
// the flag, and what would be valid. It never starts, sends or changes anything.
//
// What is left out: cpu 1, memory 256MiB, disk 256MiB, time 10m, region any,
// retries 2, no GPU, no price limit. limits.total may be left out where
// limits.price stands: it is then twice price times time, which pays for one
// whole execution and as much again for those that failed before it.
package jobfile

import (
	"time"

	"souk/protocol/market"
)

// Spec is a job as its user means it, every default filled in. Paths are
// absolute. It travels between souk's processes as JSON.
type Spec struct {
	Name           string            `json:"name"`
	WASM           string            `json:"wasm,omitempty"` // path of the module; one of WASM and Image
	Image          *Image            `json:"image,omitempty"`
	Args           []string          `json:"args,omitempty"`
	Env            map[string]string `json:"env,omitempty"`
	RealTime       bool              `json:"realTime,omitempty"`
	Inputs         []Input           `json:"inputs,omitempty"`
	Outputs        string            `json:"outputs,omitempty"` // guest folder
	CPU            int               `json:"cpu"`
	Memory         int64             `json:"memory"` // bytes
	Disk           int64             `json:"disk"`   // bytes
	GPU            *market.GPUNeed   `json:"gpu,omitempty"`
	AllowSimulated bool              `json:"allowSimulated,omitempty"`
	Exclusive      bool              `json:"exclusive,omitempty"` // no other lease on the GPUs meanwhile
	Egress         []string          `json:"egress,omitempty"`    // host:port that the job may connect to
	Verify         Verify            `json:"verify,omitzero"`
	Time           time.Duration     `json:"time"`            // longest running time, ns
	Price          *market.Amount    `json:"price,omitempty"` // limit per hour; nil: none
	Total          market.Amount     `json:"total"`           // limit over all executions
	Region         string            `json:"region"`
	Retries        int               `json:"retries"`
}

// Image is a container image; one of Ref and Path is set.
type Image struct {
	Ref      string `json:"ref,omitempty"`      // as the user wrote it; node/image finds its digest
	Path     string `json:"path,omitempty"`     // of an archive as "docker save" writes it
	Platform string `json:"platform,omitempty"` // "linux/amd64"; empty: not known
}

// Kind is the executor that the job needs.
func (s Spec) Kind() string {
	if s.Image != nil {
		return market.KindDocker
	}
	return market.KindWASM
}

// Program is the path of what is run, empty for an image that is pulled.
func (s Spec) Program() string {
	if s.Image != nil {
		return s.Image.Path
	}
	return s.WASM
}

// Verify is what is checked of the provider.
type Verify struct {
	Challenge bool `json:"challenge,omitempty"` // the leased devices, before the job runs
}

// Input is a file or folder that the job finds at At; one of Path and CID is set.
type Input struct {
	Path string `json:"path,omitempty"`
	CID  string `json:"cid,omitempty"`
	At   string `json:"at"`
}

// The limits on a job (DESIGN §11), and what stands for what is left out.
const (
	MaxFile    = 256 << 10 // bytes of a job file
	MaxMemory  = 4 << 30   // bytes that WebAssembly can address
	MaxImage   = 1 << 50   // bytes of memory of an image's job: what a machine may have
	MaxRetries = 10

	DefaultCPU     = 1
	DefaultMemory  = 256 << 20
	DefaultDisk    = 256 << 20
	DefaultTime    = 10 * time.Minute
	DefaultRegion  = "any"
	DefaultRetries = 2

	maxKey = 64 // bytes of a key that is compared with others
)
