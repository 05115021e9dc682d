package control

import (
	"time"

	"souk/node/client"
	"souk/node/client"
	"souk/protocol/market"
)

// What the client role says travels as it is.
type (
	// Need is what providers are looked for.
	Need = client.Need
	// JobInfo is a job for listings.
type JobInfo = client.JobInfo

// ExecutionInfo is one attempt at a job.
type ExecutionInfo = client.ExecutionInfo

// ReceiptInfo is the newest receipt of a lease.
type ReceiptInfo struct {
	Lease         string        `json:"lease"`
	Role          string        `json:"role"` // this node's: client or provider
	Peer          string        `json:"peer"`
	Job           string        `json:"job,omitempty"`
	Seq           uint32        `json:"seq"`
	Units         uint64        `json:"units"` // ms of running
	Charged       market.Amount `json:"charged"`
	Countersigned market.Amount `json:"countersigned"`
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
