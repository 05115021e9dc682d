package blob

import (
	"context"

	"github.com/ipfs/go-cid"
)

// Receiver takes the blocks of one DAG in transfer order and stores them.
// One goroutine uses it at a time. Pin the root before Close: from then on
// only a pin keeps the blocks.
type Receiver struct {
	order  *order
	batch  *batch
	skip   int
	synced bool
	failed error
}

// NewReceiver looks for what of the DAG is there already; Skip tells. It
// reads every inner node that is. The caller closes the receiver.
func NewReceiver(ctx context.Context, s *Space, root cid.Cid, l Limits) (*Receiver, error) {
	o, err := newOrder(root, l)
	if err != nil {
		return nil, err
	}
	r := &Receiver{order: o, batch: s.newBatch()}
	if err := r.resume(ctx, s); err != nil {
		r.batch.close()
		return nil, err
	}
	return r, nil
}

func (r *Receiver) resume(ctx context.Context, s *Space) error {
	for c, more := r.order.next(); more; c, more = r.order.next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.batch.keep(c)
		_, err := r.order.takeLocal(ctx, s, c, false, s.Get)
		if absent(err) {
			break
		}
		if err != nil {
			return err
		}
	}
	r.skip = r.order.blocks
	return r.finish()
}

// Skip is how many leading blocks of the transfer order were there at the
// start; the sender leaves out that many.
func (r *Receiver) Skip() int { return r.skip }

// Bytes is the size of all blocks there so far, those skipped included.
func (r *Receiver) Bytes() int64 { return r.order.bytes }

// Accept takes the next block. It is durable when Complete says so, or after
// Close, or some megabytes later. ErrInvalid is the sender's fault (not the
// block that is due, too large, too many links, one too many), ErrTooLarge a
// DAG over the limits, ErrQuota a full store; others are the disk's. After an
// error the receiver takes nothing more: close it and go on with another.
func (r *Receiver) Accept(data []byte) error {
	if r.failed == nil {
		r.failed = r.accept(data)
	}
	return r.failed
}

func (r *Receiver) accept(data []byte) error {
	c, more := r.order.next()
	if !more {
		return invalid("a block came after the last one")
	}
	if err := verify(c, data); err != nil {
		return err
	}
	links, err := r.order.check(int64(len(data)), data)
	if err != nil {
		return err
	}
	if err := r.batch.put(Block{CID: c, Data: data}); err != nil {
		return err
	}
	r.order.advance(int64(len(data)), links)
	return r.finish()
}

// finish syncs once the last block is there.
func (r *Receiver) finish() error {
	if _, more := r.order.next(); more {
		return nil
	}
	if err := r.batch.flush(); err != nil {
		return err
	}
	r.synced = true
	return nil
}

// Complete says that the whole DAG is there and synced.
func (r *Receiver) Complete() bool { return r.synced && r.failed == nil }

// Close makes durable what came so far, for a later receiver to go on from,
// and no longer keeps the blocks from Collect.
func (r *Receiver) Close() error {
	defer r.batch.close()
	return r.batch.flush()
}
