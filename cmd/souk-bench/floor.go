package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/protocol/market"
)

// What a negotiation can't do without, and nothing else: two questions with
// their answers, two signatures on each side, one synced write here and two there.
const (
	floorProtocol = "/souk-bench/floor/1.0.0"
	floorFrame    = 1 << 10 // bytes of a question, an answer and a write
	inFlight      = 64
)

// scribe signs, and writes durably.
type scribe struct {
	db     *pebble.DB
	signer *market.Signer
	last   atomic.Uint64
}

func newScribe(dir string) (*scribe, error) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := market.NewSigner(key)
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(dir, "books"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quietLog{}})
	return &scribe{db: db, signer: signer}, err
}

func (s *scribe) sign() (market.Signature, error) {
	return s.signer.Sign(market.Hash(sha256.Sum256(binary.BigEndian.AppendUint64(nil, s.last.Add(1)))))
}

func (s *scribe) write() error {
	value := make([]byte, floorFrame)
	_, _ = rand.Read(value) // never fails
	return s.db.Set(binary.BigEndian.AppendUint64(nil, s.last.Add(1)), value, pebble.Sync)
}

// quietLog drops what a store says of its housekeeping.
type quietLog struct{}

func (quietLog) Infof(string, ...any)              {}
func (quietLog) Errorf(string, ...any)             {}
func (quietLog) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// serveFloor is the provider's half: each question costs a signature and a synced write.
func serveFloor(dir string) (peer.AddrInfo, error) {
	s, err := newScribe(dir)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	h, err := bareHost(onTCP)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	h.SetStreamHandler(floorProtocol, func(raw network.Stream) {
		frame := make([]byte, floorFrame)
		_, err := io.ReadFull(raw, frame)
		if err == nil {
			_, err = s.sign()
		}
		if err == nil {
			err = s.write()
		}
		if err == nil {
			_, err = raw.Write(frame)
		}
		if err != nil {
			_ = raw.Reset()
			return
		}
		_ = raw.Close()
	})
	return infoOf(h), nil
}

// floor is what negotiations stand beside.
type floor struct {
	p50       time.Duration // one at a time
	perSecond float64       // inFlight at a time
}

// negotiationFloor is measured once in a run.
func negotiationFloor(ctx context.Context, s *session) (floor, error) {
	return once(s, "negotiation", func() (f floor, err error) {
		dir, remove, err := scratch()
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, remove()) }()
		there, err := startPeer(ctx, "floor", filepath.Join(dir, "there"))
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, there.close()) }()
		here, err := newScribe(filepath.Join(dir, "here"))
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, here.db.Close()) }()
		h, err := bareHost()
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		if err := h.Connect(ctx, there.AddrInfo); err != nil {
			return f, err
		}
		once := func(ctx context.Context) error { return negotiateBare(ctx, h, there.ID, here) }
		if f.p50, err = p50(ctx, s.times(300), once); err != nil {
			return f, err
		}
		f.perSecond, err = perSecond(ctx, s.times(4000), inFlight, 10*time.Second, once)
		fmt.Fprintf(s, "  the floor of a negotiation: %s; %.0f/s with %d in flight\n", f.p50.Round(time.Microsecond), f.perSecond, inFlight)
		return f, err
	})
}

// negotiateBare does what a negotiation can't do without.
func negotiateBare(ctx context.Context, h host.Host, p peer.ID, s *scribe) error {
	if err := askBare(ctx, h, p); err != nil { // a quote
		return err
	}
	for range 2 { // the lease and the voucher
		if _, err := s.sign(); err != nil {
			return err
		}
	}
	if err := s.write(); err != nil {
		return err
	}
	return askBare(ctx, h, p) // an accept
}

func askBare(ctx context.Context, h host.Host, p peer.ID) error {
	raw, err := h.NewStream(ctx, p, floorProtocol)
	if err != nil {
		return err
	}
	frame := make([]byte, floorFrame)
	if _, err = raw.Write(frame); err == nil {
		_, err = io.ReadFull(raw, frame)
	}
	if err != nil {
		_ = raw.Reset()
		return err
	}
	return raw.Close()
}

// p50 is the median of doing something n times, one after the other, after a few
// that aren't counted.
func p50(ctx context.Context, n int, do func(context.Context) error) (time.Duration, error) {
	var all []time.Duration
	for i := range n + n/10 + 1 {
		began := time.Now()
		if err := do(ctx); err != nil {
			return 0, err
		}
		if i > n/10 {
			all = append(all, time.Since(began))
		}
	}
	return median(all), nil
}

// perSecond does something n times, some of them at once, for at most as long
// as most, and gives how often it was done in a second. It ends at the first error.
func perSecond(ctx context.Context, n, atOnce int, most time.Duration, do func(context.Context) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var begun, done atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range atOnce {
		wg.Go(func() {
			for time.Since(began) < most && begun.Add(1) <= int64(n) && ctx.Err() == nil {
				if err := do(ctx); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}

// percentile is the value that a share of all are not above.
func percentile(d []time.Duration, share float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(int(share*float64(len(d))), len(d)-1)]
}
