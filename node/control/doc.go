// Package control is how souk's commands talk to the node that holds a data
// directory: HTTP with JSON over a Unix socket in it, streams as one JSON
// object a line, with a job's log as it is after the line of its event.
//
// It promises that only the directory's owner can talk to the node, that an
// error comes out of Client as the *wire.Refusal that went into Server, that a
// stream which breaks off is never taken for one that ended, that a caller who
// goes away ends what was done for them alone, and that of two starts of a
// background node at one moment one wins and both get it. It decides nothing:
// a Backend does.
package control

import (
	"context"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/challenge"
	"souk/protocol/market"
)

// Backend is a node as its commands see it. Errors that have a code are
// *wire.Refusal. IDs may be unique prefixes. Methods that give a channel close
// it when the stream is over or ctx ends.
type Backend interface {
	Status(ctx context.Context) (Status, error)
	// Doctor looks for what is wrong with machine, key, network, clock and executors.
	Doctor(ctx context.Context) ([]Check, error)
	// Shutdown asks the node to end; it returns before the node has ended.
	Shutdown(ctx context.Context) error

	Offers(ctx context.Context, need Need) ([]client.Candidate, error)
	// Challenge has a provider's free devices prove what they can do.
	Challenge(ctx context.Context, of ChallengeOf) (challenge.Verdict, error)
	Plan(ctx context.Context, spec jobfile.Spec) (client.Plan, error)
	// Submit is durable before it returns.
	Submit(ctx context.Context, spec jobfile.Spec, planID string) (jobID string, err error)
	Jobs(ctx context.Context) ([]JobInfo, error)
	Job(ctx context.Context, id string) (JobInfo, error)
	// Watch tells what is known, the log from logOffset, then what happens; it
	// ends after client.Finished. Who takes an event has its Data for itself:
	// the server lends its memory out again once it is sent.
	Watch(ctx context.Context, id string, logOffset uint64) (<-chan client.Event, error)
	Cancel(ctx context.Context, id string) error
	// Outputs writes a job's outputs into dir, which must not exist.
	Outputs(ctx context.Context, id, dir string) error

	Receipts(ctx context.Context) ([]ReceiptInfo, error)
	// Bundle is everything about one lease, as a receipt file holds it.
	Bundle(ctx context.Context, lease string) (market.Bundle, error)
	// Disputes are what providers demand and the node hasn't countersigned.
	Disputes(ctx context.Context) ([]DisputeInfo, error)
	// PayDisputed pays what is in dispute over a lease, if it is no more than most.
	PayDisputed(ctx context.Context, lease string, most market.Amount) error
	// LeaveDisputed notes that it won't be paid.
	LeaveDisputed(ctx context.Context, lease string) error

	Leases(ctx context.Context) ([]LeaseInfo, error)
	// LeaseEvents tells a provider what happens to its leases.
	LeaseEvents(ctx context.Context) (<-chan LeaseEvent, error)
}
