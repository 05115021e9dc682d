package wire

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"souk/protocol/pb"
)

// Code names a reason to refuse, for programs.
type Code string

// The codes that travel. "Busy" is never the code for "bad".
const (
	Busy           Code = "busy"            // no room now; try again later
	Taken          Code = "taken"           // another client accepted first
	Expired        Code = "expired"         // the quote or offer ran out
	Void           Code = "void"            // the quote was voided and can't be accepted any more
	NoMatch        Code = "no_match"        // the provider hasn't what is needed
	OverPrice      Code = "over_price"      // it has it, above the price limit
	OverLimit      Code = "over_limit"      // a size or time above a named limit
	BadRequest     Code = "bad_request"     // malformed or inconsistent
	BadJob         Code = "bad_job"         // the job can't run anywhere
	BadSignature   Code = "bad_signature"   // a signature isn't its peer's
	BadVoucher     Code = "bad_voucher"     // a voucher is too low, or for another channel
	ClockSkew      Code = "clock_skew"      // the two clocks are more than 5 min apart
	Unknown        Code = "unknown"         // no such lease, quote, channel or block here
	Superseded     Code = "superseded"      // a newer attach took over
	ChannelInUse   Code = "channel_in_use"  // another live process uses the same key
	NotReconciled  Code = "not_reconciled"  // channel status must be exchanged first
	WrongNetwork   Code = "wrong_network"   // the peer is on another souk network
	WrongState     Code = "wrong_state"     // the lease's state doesn't allow it
	RateLimited    Code = "rate_limited"    // asked too often
	Credit         Code = "credit"          // over the cap in money for this peer
	ShuttingDown   Code = "shutting_down"   // the node takes no more work
	StorageTrouble Code = "storage_trouble" // the node can't write its books
	Internal       Code = "internal"        // a fault of the answering node
)

// Refusal is an answer that says why not, and what would have been accepted.
// It is an error, and reaches whoever asked.
type Refusal struct {
	Code       Code
	Sentence   string
	Nearest    string
	RetryAfter time.Duration
}

func (r *Refusal) Error() string {
	if r.Nearest == "" {
		return r.Sentence
	}
	return r.Sentence + "; " + r.Nearest
}

// Refuse makes a refusal with one sentence.
func Refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Sentence: fmt.Sprintf(format, args...)}
}

// Near adds what would have been accepted.
func (r *Refusal) Near(format string, args ...any) *Refusal {
	r.Nearest = fmt.Sprintf(format, args...)
	return r
}

// After adds when asking again makes sense.
func (r *Refusal) After(d time.Duration) *Refusal {
	r.RetryAfter = d
	return r
}

// Proto is the refusal as it travels.
func (r *Refusal) Proto() *pb.Refusal {
	return &pb.Refusal{
		Code: clip(string(r.Code), maxCode), Sentence: clip(r.Sentence, maxSentence), Nearest: clip(r.Nearest, maxSentence),
		RetryAfterMillis: uint64(r.RetryAfter.Milliseconds()), //nolint:gosec // a duration set by our own code
	}
}

// FromProto reads a peer's refusal, cut to a length that is fit to print.
func FromProto(p *pb.Refusal) *Refusal {
	return &Refusal{
		Code: Code(printable(clip(p.GetCode(), maxCode))), Sentence: printable(clip(p.GetSentence(), maxSentence)),
		Nearest:    printable(clip(p.GetNearest(), maxSentence)),
		RetryAfter: time.Duration(min(p.GetRetryAfterMillis(), uint64(time.Hour/time.Millisecond))) * time.Millisecond, //nolint:gosec // capped
	}
}

// AsRefusal finds the refusal in an error, or makes one of the kind Internal
// that tells a peer nothing of this node's insides.
func AsRefusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return Refuse(Internal, "the peer had a fault of its own and could not answer")
}

// IsCode tells whether err carries a refusal with that code.
func IsCode(err error, code Code) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Code == code
}

// clip cuts s to n bytes of UTF-8: protobuf sends no other text.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// printable keeps a peer's words from driving somebody's terminal.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0xfffd {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
