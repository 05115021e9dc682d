package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"

	"souk/node/blob"
	protoblob "souk/protocol/blob"
)

const (
	withheldTries  = 3             // times in a row that a provider may say that it lacks a block
	fruitlessTries = 8             // times in a row that it may break off before any block came
	goneFactor     = 3             // how much longer a peer that isn't connected may take
	minPace        = 16 << 10      // bytes a second, averaged over all tries, after a grace of goneFactor x Times.Lost
	maxFetch       = 6 * time.Hour // for all of a lease's outputs, however slow
)

// errWithheld is outputs that the provider names but doesn't give.
var errWithheld = errors.New("the outputs are withheld")

// fetching is how the fetching of a lease's outputs went so far. It counts
// over all conversations, so that breaking them off buys no patience.
type fetching struct {
	begun     bool
	since     time.Duration // when they were first asked for
	moved     time.Duration // when a byte of them last came
	bytes     int64         // that came since
	denied    int           // times in a row that the provider said it lacks them
	fruitless int           // times in a row that it broke off with nothing given
}

func (f *fetching) begin(now time.Duration) {
	if !f.begun {
		*f = fetching{begun: true, since: now, moved: now}
	}
}

// count takes note of one try.
func (f *fetching) count(now time.Duration, bytes int64, err error) {
	if bytes > 0 {
		f.moved, f.bytes, f.denied, f.fruitless = now, f.bytes+bytes, 0, 0
		return
	}
	var reset *network.StreamError
	switch {
	case errors.Is(err, protoblob.ErrWithheld):
		f.denied++
	case errors.Is(err, io.EOF), errors.As(err, &reset) && reset.Remote:
		f.fruitless++ // it had the question, and hung up
	}
}

// over tells that it has gone on for long enough, where lost is how long a
// provider may keep this node waiting.
func (f *fetching) over(now, lost time.Duration, connected bool) bool {
	patience := lost
	if !connected {
		patience *= goneFactor // rather gone than withholding
	}
	paced := goneFactor*lost + time.Duration(f.bytes/minPace)*time.Second
	return f.denied >= withheldTries || f.fruitless >= fruitlessTries ||
		now-f.moved >= patience || now-f.since >= min(paced, maxFetch)
}

// fetch brings a lease's outputs. errWithheld: the provider doesn't give
// them, or gives something else; errOwn: this node can't store them. It asks
// again, with growing pauses, until it has asked for long enough.
func (x *execution) fetch(ctx context.Context, root cid.Cid) error {
	now, f := x.e.cfg.Clock.Mono, &x.fetching
	f.begin(now())
	err := errors.New("the conversations broke off before they came")
	for wait := x.e.cfg.Times.Redial; ; wait = min(2*wait, maxRedial) {
		if f.over(now(), x.e.cfg.Times.Lost, x.connected()) {
			return fmt.Errorf("%w: %w", errWithheld, err)
		}
		var bytes int64
		bytes, err = x.fetchOnce(ctx, root)
		f.count(now(), bytes, err)
		switch {
		case err == nil || ctx.Err() != nil || errors.Is(err, errOwn):
			return err
		case errors.Is(err, protoblob.ErrGarbage), errors.Is(err, protoblob.ErrOverLimit):
			return fmt.Errorf("%w: %w", errWithheld, err)
		}
		if bytes > 0 {
			wait = x.e.cfg.Times.Redial
		}
		if !pause(ctx, wait, nil) {
			return ctx.Err()
		}
	}
}

func (x *execution) connected() bool {
	return x.e.cfg.Host.Network().Connectedness(x.peer) == network.Connected
}

// fetchOnce asks for what is missing and tells how many bytes came. It ends
// when nothing moves for Times.Lost.
func (x *execution) fetchOnce(ctx context.Context, root cid.Cid) (moved int64, err error) {
	// Inner nodes and folders come on top of the content that MaxOutput counts.
	limits := blob.Limits{Bytes: x.terms.MaxOutput + x.terms.MaxOutput/64 + blob.MaxBlock}
	r, err := blob.NewReceiver(ctx, x.e.space, root, limits)
	if err != nil {
		return 0, ownOr(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(x.e.cfg.Times.Lost, cancel)
	defer idle.Stop()
	show := x.progress("output", 0)
	before := r.Bytes()
	err = protoblob.Get(ctx, x.e.cfg.Host, x.peer, x.hash, root, sink{r}, func(n int64) {
		idle.Reset(x.e.cfg.Times.Lost)
		x.alive()
		show(n)
	})
	if err == nil {
		size := r.Bytes()
		err = own(x.e.space.Pin(root, x.e.cfg.Clock.Now().Add(x.e.cfg.Times.Keep)))
		x.r.emit(Event{Kind: Transfer, Attempt: x.attempt, What: "output", Done: size, Total: size})
	}
	return r.Bytes() - before, errors.Join(err, own(r.Close()))
}
