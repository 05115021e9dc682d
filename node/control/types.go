package control

import (
	"time"

	"souk/node/client"
	"souk/protocol/market"
)

// What the client role says travels as it is.
type (
	// Need is what providers are looked for.
	Need = client.Need
	// JobInfo is a job for listings.
	JobInfo = client.JobInfo
	// ExecutionInfo is one attempt at a job.
	ExecutionInfo = client.ExecutionInfo
	// DisputeInfo is a lease of which its provider demands what isn't countersigned.
	DisputeInfo = client.DisputeInfo
)

// Status is how a node stands.
type Status struct {
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	Since     time.Time `json:"since"`
	DataDir   string    `json:"dataDir"`
	Network   string    `json:"network"`
	Peer      string    `json:"peer"`
	Address   string    `json:"address"` // signs this node's documents
	Addrs     []string  `json:"addrs"`
	Reach     string    `json:"reach"`               // one sentence: whether others can reach this node, and what to do
	Peers     int       `json:"peers"`               // connected
	Bootstrap []string  `json:"bootstrap,omitempty"` // one sentence for each that can't be reached
	Jobs      int       `json:"jobs"`                // that aren't closed
	Leases    int       `json:"leases"`              // live, as a provider
	Providing *Supply   `json:"providing,omitempty"` // nil: makes no offers

	Settings map[string]string `json:"settings,omitempty"` // how it was set up when it started: keys of the config and their values
}

// Supply is what a provider offers.
type Supply struct {
	Devices      string        `json:"devices"` // for people: "2x RTX 4090 24GiB (simulated)", "CPU only"
	CPU          int           `json:"cpu"`
	Memory       int64         `json:"memory"`
	Disk         int64         `json:"disk"`
	Executors    []string      `json:"executors"`
	Lacking      []string      `json:"lacking,omitempty"` // what can't run jobs, or isn't offered, a sentence each
	Speed        uint64        `json:"speed"`
	Region       string        `json:"region"`
	Asked        market.Amount `json:"asked"`        // per hour, as it was set
	PricePerHour market.Amount `json:"pricePerHour"` // as it follows from the tick's price
	Tick         time.Duration `json:"tick"`         // ns
}

// Check is one thing that the doctor looked at.
type Check struct {
	Name string `json:"name"` // "clock", "identity", "executor wasm", …
	OK   bool   `json:"ok"`
	Text string `json:"text"`          // what was found, one sentence
	Fix  string `json:"fix,omitempty"` // what to do about it; beside OK: for what this machine could do and doesn't
}

// ReceiptInfo is the newest receipt of a lease. A client's lease that was paid
// ahead and has no receipt yet, or never got one, has Seq 0.
type ReceiptInfo struct {
	Lease         string        `json:"lease"`
	Role          string        `json:"role"` // this node's: client or provider
	Peer          string        `json:"peer"`
	Job           string        `json:"job,omitempty"`
	Seq           uint32        `json:"seq"`
	Units         uint64        `json:"units"` // ms of running
	Charged       market.Amount `json:"charged"`
	Countersigned market.Amount `json:"countersigned"`
	Vouchered     market.Amount `json:"vouchered"` // as a client: what the provider can keep at most
	Outcome       string        `json:"outcome"`
	At            time.Time     `json:"at"`
}

// LeaseInfo is a lease as its provider sees it.
type LeaseInfo struct {
	Lease   string        `json:"lease"`
	Peer    string        `json:"peer"`
	State   string        `json:"state"`
	Outcome string        `json:"outcome,omitempty"`
	Charged market.Amount `json:"charged"`
	Paid    market.Amount `json:"paid"`
	Created time.Time     `json:"created"`
}

// LeaseEvent is something that happened to a provider.
type LeaseEvent struct {
	At      time.Time      `json:"at"`
	Kind    string         `json:"event"`
	Peer    string         `json:"peer,omitempty"`
	Lease   string         `json:"lease,omitempty"`
	Outcome string         `json:"outcome,omitempty"`
	Charged *market.Amount `json:"charged,omitempty"`
	Text    string         `json:"text,omitempty"`
}
