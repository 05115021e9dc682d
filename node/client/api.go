package client

import (
	"time"

	"souk/protocol/market"
)

// Candidate is one provider that was considered for a job.
type Candidate struct {
	Peer         string        `json:"peer"`
	Devices      string        `json:"devices"`             // for people: "1x RTX 4090 24GiB (measured)", "CPU only"
	Executors    []string      `json:"executors"`           // what it runs
	GPUs         []GPU         `json:"gpus,omitempty"`      // the same, for programs
	Egress       bool          `json:"egress"`              // grants jobs a network
	Shared       bool          `json:"shared,omitempty"`    // leases share its devices, unless a job is exclusive
	Challenge    string        `json:"challenge,omitempty"` // whose challenges it answers: "free", "lease" or "off"
	Region       string        `json:"region"`
	PricePerHour market.Amount `json:"pricePerHour"`
	Speed        uint64        `json:"speed"`     // loops per second
	SpeedFrom    string        `json:"speedFrom"` // "offer" or "own receipts"
	WorstCost    market.Amount `json:"worstCost"` // tickPrice x maxTicks, of the quote if there is one
	Tick         time.Duration `json:"tick"`
	Prepaid      market.Amount `json:"prepaid"` // what a vanished provider can keep at most
	Quoted       bool          `json:"quoted"`
	Chosen       bool          `json:"chosen"`
	Why          string        `json:"why"`            // why it stands where it stands: "cheapest per unit of speed", "2 of 3 leases failed"
	WhyNot       string        `json:"whyNot"`         // empty for one that could be leased
	Code         string        `json:"code,omitempty"` // the refusal's code
	Measured     []Measured    `json:"measured,omitempty"`
}

// Plan is what was considered for a job, best first.
type Plan struct {
	ID         string      `json:"id"`
	Candidates []Candidate `json:"candidates"`
	Summary    string      `json:"summary"` // one sentence; names the nearest miss where nobody can be leased
	Code       string      `json:"code"`    // empty, or souk's code: no_provider, over_price, busy, ...
	// Uncertain: the worst-case cost over all executions is at most this.
	WorstCost market.Amount `json:"worstCost"`
}

// EventKind says which fields of an Event are set.
type EventKind string

// The kinds of event, in the order in which a job usually brings them.
const (
	Placed     EventKind = "placed"     // Job
	Considered EventKind = "considered" // Plan
	Leased     EventKind = "leased"     // Lease, Peer, Attempt, PricePerHour
	Transfer   EventKind = "transfer"   // What ("module", "input", "output"), Done, Total bytes
	StateIs    EventKind = "state"      // State, Text
	LogData    EventKind = "log"        // Data, Offset, Attempt
	Ticked     EventKind = "tick"       // Seq, Units (ms), Charged, Attempt
	Ended      EventKind = "execution"  // an execution ended: Attempt, Outcome, Charged, Text
	Finished   EventKind = "done"       // Exit, Source, Code, Text, Spent, Outputs
	Notice     EventKind = "notice"     // Text, Code
)

// Event is something that happened to a job.
type Event struct {
	Kind    EventKind `json:"event"`
	At      time.Time `json:"at"`
	Job     string    `json:"job,omitempty"` // empty before the job was placed
	Attempt int       `json:"attempt,omitempty"`

	Plan         *Plan         `json:"plan,omitempty"`
	Lease        string        `json:"lease,omitempty"`
	Peer         string        `json:"peer,omitempty"`
	PricePerHour market.Amount `json:"pricePerHour,omitzero"`

	What  string `json:"what,omitempty"`
	Done  int64  `json:"done,omitempty"`
	Total int64  `json:"total,omitempty"`

	State  string `json:"state,omitempty"`
	Offset uint64 `json:"offset,omitempty"`
	Data   []byte `json:"data,omitempty"` // of libp2p's pool of buffers: who read it may put it back

	Seq     uint32         `json:"seq,omitempty"`
	Units   uint64         `json:"units,omitempty"`
	Charged *market.Amount `json:"charged,omitempty"`
	Outcome string         `json:"outcome,omitempty"`

	Exit    *int           `json:"exit,omitempty"`
	Source  string         `json:"exit_source,omitempty"` // "job" or "souk"
	Code    string         `json:"code,omitempty"`
	Text    string         `json:"text,omitempty"`
	Spent   *market.Amount `json:"spent,omitempty"`
	Outputs string         `json:"outputs,omitempty"`
}
