// Package blob is /souk/blob/1.0.0: the inputs and outputs of a lease, moved
// between its two peers as blocks in depth-first order.
//
// A block that occurs more than once in a DAG travels once, where it is first
// met. The receiver knows from the root and the blocks that came which one is
// due, so blocks travel without names and each is verified as it arrives.
// Whoever receives says how many leading blocks of that order it has, and a
// transfer that was cut goes on there.
//
// It promises that a Put returns nil only after the peer said that all is on
// its disk, a Get only after the sink said so of its own, and that an error
// tells whose fault it was: ErrBroken (nobody's: resume), ErrGarbage (the peer
// sent what was not asked), ErrWithheld (the peer does not give the blocks it
// named), a *wire.Refusal (the peer said no), anything else this side's own.
// It never decides who may read or write what: that is the Store's.
package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
	"souk/protocol/wire"
)

// Limits of a transfer.
const (
	MaxBlock = 262_144 // bytes in one block

	// FrameBytes is the most that is put into one frame beyond its first block;
	// small enough that 256 kbit/s carry a frame within wire.FrameTimeout.
	FrameBytes = 256 << 10
	// FrameBlocks is the most blocks in one frame.
	FrameBlocks = 1_024

	// TransferTimeout is the longest that one stream lasts; a larger transfer
	// goes on in another.
	TransferTimeout = 6 * time.Hour
	// SyncTimeout is how long the receiver of a Put may take to answer the end.
	SyncTimeout = time.Minute
	// refusalWait is how long a sender whose write failed looks for the reason.
	refusalWait = 2 * time.Second
	// maxSkip is more blocks than any transfer has.
	maxSkip = 1 << 30
	maxCID  = 64 // bytes
)

// How a transfer fails that is not refused and not this side's own fault.
var (
	// ErrBroken: the connection or the peer went away. Resume.
	ErrBroken = errors.New("the transfer broke off")
	// ErrGarbage: the peer sent what no correct peer sends. Don't resume.
	ErrGarbage = errors.New("the peer sent invalid data")
	// ErrWithheld: the peer does not have, or does not give, the blocks asked for.
	ErrWithheld = errors.New("the peer withholds blocks")
)

// What a Source or Sink of this side says when it can't go on; the server
// tells the peer, a client's caller learns that the fault is its own.
var (
	// ErrMissing: a block that is to be sent is not here.
	ErrMissing = errors.New("block not here")
	// ErrOverLimit: the DAG has more bytes, blocks or levels than it may.
	ErrOverLimit = errors.New("over the limit")
	// ErrNoRoom: the store is full.
	ErrNoRoom = errors.New("no room for more data")
)

// Source is the blocks of a DAG in transfer order. It ends after an error. A
// block is good until the next one is asked for.
type Source = iter.Seq2[[]byte, error]

// Sink takes the blocks of one DAG in transfer order.
type Sink interface {
	// Skip is how many leading blocks were there before.
	Skip() int
	// Accept verifies and stores the next block, and keeps no hold of its bytes.
	// An error that is ErrGarbage is the sender's fault. After an error it takes
	// nothing more.
	Accept(block []byte) error
	// Complete says that every block is there and synced.
	Complete() bool
	// Close syncs what came, so that a later sink can go on from it.
	Close() error
}

// Store is what the server needs of its node. Both methods first see that
// peer is the other party of lease and that the lease names root for that
// direction, and return a *wire.Refusal where not.
type Store interface {
	// Source gives the DAG under root without its first skip blocks.
	Source(ctx context.Context, p peer.ID, lease market.Hash, root cid.Cid, skip int) (Source, error)
	// Sink takes the DAG under root, within the lease's limits. The server closes it.
	Sink(ctx context.Context, p peer.ID, lease market.Hash, root cid.Cid) (Sink, error)
}

// Progress hears how many bytes of blocks this call moved so far.
type Progress func(moved int64)

func (p Progress) report(moved int64) {
	if p != nil {
		p(moved)
	}
}

// sendAll sends the blocks of src up to its first error, several small ones to a frame.
func sendAll(src Source, to *builder, progress Progress) error {
	var moved int64
	flush := func() error {
		n, err := to.flush()
		if err == nil && n > 0 {
			moved += n
			progress.report(moved)
		}
		return err
	}
	for block, err := range src {
		if err != nil {
			_ = flush() // what is there still goes; the source's error counts
			return err
		}
		if to.full(block) {
			if err := flush(); err != nil {
				return err
			}
		}
		to.add(block)
	}
	return flush()
}

// frameErr says whose fault a failed read or write of a frame is.
func frameErr(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, wire.ErrMalformed):
		return fmt.Errorf("%w: %w", ErrGarbage, err)
	default:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
}
