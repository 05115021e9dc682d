package wire

import (
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"
)

// The protocols.
const (
	OfferProtocol  protocol.ID = "/souk/offer/1.0.0"
	LeaseProtocol  protocol.ID = "/souk/lease/1.0.0"
	RunProtocol    protocol.ID = "/souk/run/1.0.0"
	BlobProtocol   protocol.ID = "/souk/blob/1.0.0"
	StatusProtocol protocol.ID = "/souk/status/1.0.0"

	ChallengeProtocol protocol.ID = "/souk/challenge/1.0.0"
)

// Limits on what travels (DESIGN §11). A deadline counts from the moment that
// the thing it bounds begins.
const (
	MaxControl = 64 << 10 // bytes of a control frame
	MaxData    = 1 << 20  // bytes of a frame of log or blocks

	OpenTimeout  = 10 * time.Second // dialling and opening a stream
	FrameTimeout = 15 * time.Second // from the first byte of a frame to its last, either way
	AskTimeout   = 20 * time.Second // one question and its answer
	IdleTimeout  = 30 * time.Second // the longest silence on a conversation between two frames; peers that have nothing to say send an empty State before

	MalformedBeforeBlock = 5                // malformed frames within BlockWindow
	BlockWindow          = 10 * time.Minute // and then the peer is refused
	BlockFor             = 10 * time.Minute // for this long

	AsksPerSecond = 20 // new streams a second from one peer and protocol, on average
	AsksBurst     = 64 // and at once
)
