package crashpoint_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/status"
)

// buyer is the client's node.
type buyer struct {
	node
	module string
	knows  []peer.ID
	engine *client.Engine
}

// up begins a life; errCrash: it ended at once.
func (b *buyer) up(f *fate) (err error) {
	b.engine = nil
	if err := b.open(f); err != nil {
		return err
	}
	began := time.Now()
	b.engine, err = client.New(client.Config{
		Host: b.host, Finder: finder{b.host, b.knows}, Ledger: &frailBook{b.ledger, ledger.Client, f}, Blobs: b.blobs, Key: b.key, Network: networkName,
		Boot: newBoot(), Dir: filepath.Join(b.dir, "logs"), Log: slog.New(slog.DiscardHandler),
		Challenge: smallChallenge,
		Clock:     client.Clock{Now: time.Now, Mono: func() time.Duration { return time.Since(began) }},
	})
	if err != nil {
		return err
	}
	status.Serve(b.serve, b.engine)
	return b.engine.Start(context.Background())
}

func (b *buyer) down() error {
	return b.close(func() error {
		if b.engine == nil {
			return nil
		}
		return b.engine.Close()
	})
}

func (b *buyer) spec(name string) jobfile.Spec {
	return jobfile.Spec{
		Name: name, WASM: b.module, Outputs: "/out", CPU: 1, Memory: 64 << 20, Disk: 64 << 20, Time: time.Minute,
		Total: market.NewAmount(1_000_000), Region: "any", Retries: 2,
	}
}

// job is the job of that name as the books have it.
func (b *buyer) job(name string) (job ledger.Job, ok bool, err error) {
	err = b.ledger.View(context.Background(), func(tx *ledger.Tx) error {
		for j, err := range tx.Jobs() {
			if err != nil {
				return err
			}
			if j.Name == name {
				job, ok = j, true
			}
		}
		return nil
	})
	return job, ok, err
}
