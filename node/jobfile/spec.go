// Package jobfile reads what a user writes about a job, as YAML, JSON or
// command-line flags, and says exactly what is wrong with it.
package jobfile

import (
	"time"

	"souk/protocol/market"
)

// Spec is a job as its user means it, every default filled in. Paths are
// absolute. It travels between souk's processes as JSON.
type Spec struct {
	Name           string            `json:"name"`
	WASM           string            `json:"wasm"` // path of the module
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
	Time           time.Duration     `json:"time"`            // longest running time, ns
	Price          *market.Amount    `json:"price,omitempty"` // limit per hour; nil: none
	Total          market.Amount     `json:"total"`           // limit over all executions
	Region         string            `json:"region"`
	Retries        int               `json:"retries"`
}

// Input is a file or folder that the job finds at At; one of Path and CID is set.
type Input struct {
	Path string `json:"path,omitempty"`
	CID  string `json:"cid,omitempty"`
	At   string `json:"at"`
}
