package wire

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"souk/internal/limit"
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
	MaxFields  = 1 << 16  // fields in a frame, with those of the messages in it: each becomes something in memory, however short it is

	OpenTimeout  = 10 * time.Second // dialling and opening a stream
	FrameTimeout = 15 * time.Second // from the first byte of a frame to its last, either way
	AskTimeout   = 20 * time.Second // one question and its answer
	IdleTimeout  = 30 * time.Second // the longest silence on a conversation between two frames; peers that have nothing to say send an empty State before

	MalformedBeforeBlock = 5                // malformed frames of a peer, all forgotten within BlockWindow
	BlockWindow          = 10 * time.Minute // one by one; beyond them the peer is refused
	BlockFor             = 10 * time.Minute // for this long

	AsksPerSecond = 20 // new streams a second from one peer and protocol, on average
	AsksBurst     = 64 // and at once
	MaxOpening    = 64 // streams of a protocol, of all peers, whose first frame isn't there yet
	RegularAsks   = 50 // times as many, of a peer that this node trades with

	maxCode     = 32  // bytes of a refusal's code
	maxSentence = 512 // bytes of its sentence, and of the nearest miss
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	blocked := fmt.Sprintf("the peer is refused for %d min", BlockFor/time.Minute)
	return limit.In("protocol/wire", append(limit.OnTheWire(
		limit.Size("control frame", MaxControl, "malformed, before its first byte is read"),
		limit.Size("data frame", MaxData, "malformed, before its first byte is read"),
		limit.Of("fields in a frame", MaxFields, "malformed"),
		limit.Time("a frame, from its first byte to its last", FrameTimeout, "the stream is reset"),
		limit.Time("opening a stream", OpenTimeout, "given up"),
		limit.Time("question and answer", AskTimeout, "given up"),
		limit.Time("silence in a conversation", IdleTimeout, "the stream is reset"),
		limit.Of(fmt.Sprintf("malformed messages of a peer, one forgotten every %d min", BlockWindow/MalformedBeforeBlock/time.Minute), MalformedBeforeBlock, blocked),
		limit.Of("new streams of a peer and protocol in a second", AsksPerSecond, "refused with rate_limited"),
		limit.Of("new streams of a peer and protocol at once", AsksBurst, "refused with rate_limited"),
		limit.Of("streams of a protocol that wait for their first frame", MaxOpening, "the stream is reset that has waited longest of the peer that has the most of them"),
		limit.Of("new streams of a peer that has paid, and protocol, in a second", AsksPerSecond*RegularAsks, "refused with rate_limited"),
		limit.Of("new streams of a peer that has paid, and protocol, at once", AsksBurst*RegularAsks, "refused with rate_limited"),
		limit.Size("code of a refusal", maxCode, "cut"),
		limit.Size("sentence of a refusal", maxSentence, "cut"),
	),
		limit.Of("peers whose manners are remembered", maxRemembered, "who was quiet for longest is forgotten"),
	)...)
}
