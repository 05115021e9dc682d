package control

import (
	"errors"
	"time"

	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// Limits on the socket.
const (
	maxBody     = 1 << 20          // bytes of a question
	maxAnswer   = 256 << 20        // bytes of an answer; a receipt file of the longest lease
	maxLine     = 4 << 20          // bytes of one line of a stream
	maxLogData  = 1 << 20          // bytes of log that follow one
	headTimeout = 5 * time.Second  // for a question's head
	askTimeout  = 2 * time.Minute  // for one answer; longer than looking for providers and asking them for quotes takes
	pingTimeout = 2 * time.Second  // for finding out whether anybody answers
	lineTimeout = 30 * time.Second // for a caller to take one line of a stream
)

// Codes of this package, beside those of wire and client.
const (
	NotRunning  wire.Code = "not_running"  // no node holds the data directory
	NodeStopped wire.Code = "node_stopped" // it ended while it was asked
	NodeFailed  wire.Code = "node_failed"  // a background node didn't come up
)

// The paths, one for each method of Backend.
const (
	pathStatus      = "/v1/status"
	pathDoctor      = "/v1/doctor"
	pathShutdown    = "/v1/shutdown"
	pathOffers      = "/v1/offers"
	pathPlan        = "/v1/plan"
	pathSubmit      = "/v1/submit"
	pathJobs        = "/v1/jobs"
	pathJob         = "/v1/job"
	pathWatch       = "/v1/watch"
	pathCancel      = "/v1/cancel"
	pathOutputs     = "/v1/outputs"
	pathReceipts    = "/v1/receipts"
	pathBundle      = "/v1/bundle"
	pathDisputes    = "/v1/disputes"
	pathPay         = "/v1/pay"
	pathLeave       = "/v1/leave"
	pathLeases      = "/v1/leases"
	pathLeaseEvents = "/v1/lease-events"
)

type nothing struct{}

type submission struct {
	Spec jobfile.Spec `json:"spec"`
	Plan string       `json:"plan"`
}

// payment is what may be paid late for a lease.
type payment struct {
	Lease string        `json:"lease"`
	Most  market.Amount `json:"most"`
}

// ref names a job or lease, and what of it.
type ref struct {
	ID     string `json:"id"`
	Offset uint64 `json:"offset,omitempty"`
	Dir    string `json:"dir,omitempty"`
}

// refusal is a wire.Refusal as it travels here.
type refusal struct {
	Code       wire.Code     `json:"code"`
	Sentence   string        `json:"sentence"`
	Nearest    string        `json:"nearest,omitempty"`
	RetryAfter time.Duration `json:"retryAfter,omitempty"` // ns
}

// refusalOf is what a caller is told. Callers own the node, so they may read
// what isn't a refusal too.
func refusalOf(err error) *refusal {
	var r *wire.Refusal
	if errors.As(err, &r) {
		return &refusal{Code: r.Code, Sentence: r.Sentence, Nearest: r.Nearest, RetryAfter: r.RetryAfter}
	}
	return &refusal{Code: wire.Internal, Sentence: err.Error()}
}

func (r *refusal) err() error {
	return &wire.Refusal{Code: r.Code, Sentence: r.Sentence, Nearest: r.Nearest, RetryAfter: r.RetryAfter}
}
