package provider

import (
	"time"

	"souk/protocol/market"
)

// Kind names what happened.
type Kind string

// The kinds of event.
const (
	Missed  Kind = "missed"  // a request that was refused
	Leased  Kind = "leased"  // a quote was accepted
	Started Kind = "started" // the process runs
	Ticked  Kind = "tick"    // a receipt was signed
	Ended   Kind = "ended"   // the last receipt was signed
	Paid    Kind = "paid"    // the last receipt was countersigned
	Trouble Kind = "trouble" // something that the provider's owner should know
)

// Event is something that happened, for the person who runs the provider.
type Event struct {
	At      time.Time      `json:"at"`
	Kind    Kind           `json:"event"`
	Peer    string         `json:"peer,omitempty"`
	Lease   string         `json:"lease,omitempty"`
	Outcome string         `json:"outcome,omitempty"`
	Charged *market.Amount `json:"charged,omitempty"`
	Text    string         `json:"text,omitempty"`
}
