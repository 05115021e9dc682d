package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/internal/turns"
	"souk/node/blob"
	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/wire"
)

// Engine is the client role of a node. Its methods may be called from any goroutine.
type Engine struct {
	cfg    Config
	side   books.Side // decides what is signed and accepted
	chain  market.Chain
	salt   market.Hash
	space  *blob.Space
	offers *offer.Cache
	plans  plans
	books  reconciled
	asking turns.Shared[peer.ID] // one exchange of a channel's status at a time

	verdicts *verdicts
	searches *recent
	faults   *wire.Faults

	ctx    context.Context //nolint:containedctx // the life of the engine
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	runners map[string]*runner // of jobs that aren't done
}

const saltName = "client/salt"

// New makes an engine. It signs, dials and starts nothing before Start.
func New(cfg Config) (*Engine, error) {
	if err := cfg.settle(); err != nil {
		return nil, err
	}
	signer, err := market.NewSigner(cfg.Key)
	if err != nil {
		return nil, err
	}
	space, err := cfg.Blobs.Space(blob.Local)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for logs: %w", err)
	}
	e := &Engine{
		cfg: cfg, side: books.NewSide(market.NoChain(cfg.Network), signer), chain: market.NoChain(cfg.Network), space: space, offers: cfg.Offers,
		runners: map[string]*runner{}, verdicts: newVerdicts(), searches: newRecent(), faults: wire.NewFaults(),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	if e.salt, err = e.loadSalt(); err != nil {
		e.cancel()
		return nil, err
	}
	e.recall()
	return e, nil
}

// loadSalt reads the data directory's random salt, or makes it.
func (e *Engine) loadSalt() (salt market.Hash, err error) {
	err = e.cfg.Ledger.Update(e.ctx, func(tx *ledger.Tx) error {
		old, err := tx.Meta(saltName)
		if err == nil {
			salt, err = market.HashFrom(old)
			return err
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if _, err := rand.Read(salt[:]); err != nil {
			return err
		}
		return tx.PutMeta(saltName, salt[:])
	})
	return salt, err
}

// Start takes up every job that isn't done, and so every lease that may live.
func (e *Engine) Start(ctx context.Context) error {
	var open []string
	err := e.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for j, err := range tx.Jobs() {
			if err != nil {
				return err
			}
			if j.State != ledger.JobDone {
				open = append(open, j.ID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range open {
		if err := e.launch(id, nil); err != nil {
			return err
		}
	}
	return nil
}

// Close stops working on jobs, leaving them for the next Start, and waits.
// Watches end. Leases go on at their providers as far as they are paid.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.wg.Wait()
	return nil
}

// Active is how many jobs aren't closed.
func (e *Engine) Active() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.runners)
}

var errClosed = wire.Refuse(wire.ShuttingDown, "the node is shutting down")

// launch starts a job's goroutine, once. quotes may hold what a plan was quoted.
func (e *Engine) launch(id string, quotes *planned) error {
	hub, err := e.newHub(id)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	if e.runners[id] != nil {
		return nil
	}
	r := &runner{e: e, id: id, hub: hub, planned: quotes, cancelled: make(chan struct{})}
	e.runners[id] = r
	e.wg.Go(func() {
		r.run(e.ctx)
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.runners, id)
	})
	return nil
}

// runner gives the job's goroutine, nil if it has none.
func (e *Engine) runner(id string) *runner {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runners[id]
}

func (e *Engine) nowMillis() uint64 { return uint64(e.cfg.Clock.Now().UnixMilli()) } //nolint:gosec // after 1970

func (e *Engine) parties(p peer.ID) (lease.Parties, error) {
	provider, err := market.AddressOf(p)
	if err != nil {
		return lease.Parties{}, err
	}
	return lease.Parties{Chain: e.chain, Provider: provider, Client: e.side.Signer.Address()}, nil
}

// pause waits, unless ctx or wake ends it. It tells whether ctx goes on.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
