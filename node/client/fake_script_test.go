package client_test

import (
	"time"

	"souk/protocol/offer"
	"souk/protocol/wire"
)

// script is how a fake provider behaves. The zero script is honest: it logs,
// ticks, exits with 0 and gives its outputs.
type script struct {
	leased int           // cores that are not free
	closed bool          // takes no inputs
	skew   time.Duration // of its clock
	price  uint64        // per hour, smallest units
	speed  uint64
	ticks  int // receipts before the last one
	exit   int
	output string // file with the outputs; empty: none
	device *offer.Device
	runs   []string // executors; nil: both
	net    bool     // grants egress
	proves offer.Challenge

	loseAnswers  int       // accepts that are taken but never answered
	loseAccepts  int       // accepts that never arrive
	refuseAccept wire.Code // for every accept
	hurried      int       // accepts that come too fast
	hurry        wire.Code // what they are told; default rate_limited

	hurriedQuotes int           // requests that come too fast
	overCharge    bool          // the first receipt charges an hour
	equivocate    bool          // two receipts with number 1
	withhold      bool          // outputs are named, never given
	dieAfter      int           // receipts after which the provider vanishes
	forever       bool          // runs until it is cancelled
	silent        bool          // always says that it shuts down
	exitFails     bool          // the provider itself fails
	unfit         bool          // says that the job, or its image, is to blame
	badLog        bool          // its log has a gap, each time
	cut           bool          // breaks the outputs off, each time
	stall         bool          // never comes to the outputs
	hangUp        bool          // ends the conversation after the last receipt
	dearer        uint64        // its quotes ask that many times what its offer says
	longTick      bool          // its quotes have ticks of an hour
	hugeLog       bool          // its terms have a log of 1 TiB
	longer        bool          // its quotes are for twice the time
	uncovered     int           // leases that it stops for want of cover
	unreconciled  *wire.Refusal // answers every channel status
	hideAfter     int           // receipts after which it can't be reached, until it appears again
	strict        bool          // takes no lease whose voucher doesn't cover what it has signed, too
	sly           bool          // shows a channel's leases without their last receipts and countersignatures
	idle          bool          // runs until it is cancelled, without a receipt
	hurriedLate   int           // attaches that come too fast once it has appeared again
	deafToLast    bool          // loses the first countersignatures on the last receipt
}
