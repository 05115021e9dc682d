package market

import (
	"errors"
	"fmt"
)

// Outcome is how a lease ended; it stands in the last receipt.
type Outcome uint8

// The outcomes. Every receipt but the last one of a lease has NotEnded.
const (
	NotEnded Outcome = iota
	Succeeded
	JobFailed
	ProviderFailed
	Cancelled
	Expired
)

var outcomeNames = [...]string{"running", "succeeded", "job_failed", "provider_failed", "cancelled", "expired"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// MarshalText writes the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the outcome's name.
func (o *Outcome) UnmarshalText(b []byte) error {
	for i, n := range outcomeNames {
		if n == string(b) {
			*o = Outcome(i) //nolint:gosec // a small table
			return nil
		}
	}
	return fmt.Errorf("no outcome is named %.32q", b)
}

// State is where a lease stands.
type State string

// The states, in order.
const (
	Requested State = "requested"
	Quoted    State = "quoted"
	Agreed    State = "agreed"
	Preparing State = "preparing"
	Running   State = "running"
	Finishing State = "finishing"
	Closed    State = "closed"
)

// Event is what moves a lease from one state to the next.
type Event string

// The events.
const (
	QuoteSigned Event = "quote_signed" // the provider answered the request
	Accepted    Event = "accepted"     // both signed the lease
	Prepare     Event = "prepare"      // inputs come in, the workspace is made
	Start       Event = "start"        // the process starts
	End         Event = "end"          // the process has ended, or never will start: the last receipt is signed
	Close       Event = "close"        // the last receipt is countersigned, or nobody waits for that any more
	GiveUp      Event = "give_up"      // the state's time is over, or the other side said that it is void
)

// Moment is what a transition depends on besides state and event.
type Moment struct {
	Now       uint64 // Unix ms on the deciding side's clock
	ExpiresAt uint64 // of the quote
	StartBy   uint64 // of the quote
}

// Reasons why a transition is refused.
var (
	ErrTransition = errors.New("the lease's state doesn't allow it")
	ErrTooLate    = errors.New("too late")
)

// Next gives the state that follows, or says why the event isn't allowed now.
// It is the only place where that is decided. With an error the state stays s.
func Next(s State, e Event, m Moment) (State, error) {
	switch {
	case s == Requested && e == QuoteSigned:
		return Quoted, nil
	case s == Quoted && e == Accepted:
		return inTime(s, Agreed, m.Now, m.ExpiresAt, "the quote ran out")
	case s == Agreed && e == Prepare:
		return inTime(s, Preparing, m.Now, m.StartBy, "preparing had to begin by startBy, which was")
	case s == Preparing && e == Start:
		return inTime(s, Running, m.Now, m.StartBy, "the process had to start by startBy, which was")
	case (s == Agreed || s == Preparing || s == Running) && e == End:
		return Finishing, nil
	case s == Finishing && e == Close:
		return Closed, nil
	case (s == Requested || s == Quoted) && e == GiveUp:
		return Closed, nil
	}
	return s, fmt.Errorf("%w: %s while %s", ErrTransition, e, s)
}

func inTime(s, next State, now, limit uint64, what string) (State, error) {
	if now > limit {
		return s, fmt.Errorf("%w: %s %d ms ago", ErrTooLate, what, now-limit)
	}
	return next, nil
}

// Live tells whether a lease in this state may still cost money or devices.
func (s State) Live() bool {
	return s == Agreed || s == Preparing || s == Running || s == Finishing
}
