package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"souk/protocol/wire"
)

const (
	siegeProtocol = "/souk-bench/siege/1.0.0"
	// siegePace is how long a besieger waits for a stream's end before it sends one more
	// byte, and how soon it opens another one for a stream that was refused.
	siegePace = time.Second
	// siegePatience is the longest that besiegers wait for their streams to be ended.
	siegePatience = 90 * time.Second
)

// siege is what a process in the role is told to do: to hold so many streams of
// a provider half open, spread over peers and protocols.
type siege struct {
	Target    peer.AddrInfo
	Peers     int
	Streams   int // of all peers together
	Protocols []protocol.ID
}

// siegeReport is what came of it so far.
type siegeReport struct {
	Opened int64         // streams on which the first byte of a frame was sent
	Most   int64         // of them held at once: open for siegePace and longer
	Left   int64         // still held when patience was lost
	Ended  time.Duration // from the end of the siege to that of its last stream
}

// serveSiege lets besiegers out when they are asked to, until who asked has
// closed its side: it is told when they stand and when all is over.
func serveSiege(string) (peer.AddrInfo, error) {
	h, err := bareHost(onTCP)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	h.SetStreamHandler(siegeProtocol, func(raw network.Stream) {
		if err := takeOrders(raw); err != nil {
			fmt.Fprintln(os.Stderr, "souk-bench:", err)
			_ = raw.Reset()
			return
		}
		_ = raw.Close()
	})
	return infoOf(h), nil
}

func takeOrders(raw network.Stream) error {
	in, out := json.NewDecoder(raw), json.NewEncoder(raw)
	var orders siege
	if err := in.Decode(&orders); err != nil {
		return err
	}
	hosts, err := orders.gather()
	defer func() {
		for _, h := range hosts {
			_ = h.Close()
		}
	}()
	if err != nil {
		return err
	}
	b := besiegers{siege: orders}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for n := range orders.Streams {
		b.Go(func() { b.hold(ctx, hosts[n%len(hosts)], orders.Protocols[n%len(orders.Protocols)]) })
		time.Sleep(siegePace / time.Duration(orders.Streams)) // so that they don't keep step
	}
	time.Sleep(2 * siegePace)
	if err := out.Encode(b.report()); err != nil {
		return err
	}
	_ = in.Decode(&struct{}{}) // ends with the other side
	stop()
	began := time.Now()
	b.Wait()
	r := b.report()
	r.Ended = time.Since(began)
	return out.Encode(r)
}

// gather makes the peers, each connected to the target.
func (o siege) gather() (hosts []host.Host, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), siegePatience)
	defer cancel()
	for range o.Peers {
		h, err := bareHost()
		if err != nil {
			return hosts, err
		}
		hosts = append(hosts, h)
		if err := h.Connect(ctx, o.Target); err != nil {
			return hosts, err
		}
	}
	return hosts, nil
}

// besiegers carry a siege out.
type besiegers struct {
	siege
	sync.WaitGroup
	opened, held, most, left atomic.Int64
}

func (b *besiegers) report() siegeReport {
	return siegeReport{Opened: b.opened.Load(), Most: b.most.Load(), Left: b.left.Load()}
}

// hold has one stream open, and another one when that was ended, until ctx is done.
func (b *besiegers) hold(ctx context.Context, h host.Host, id protocol.ID) {
	again := time.NewTicker(siegePace)
	defer again.Stop()
	for ctx.Err() == nil {
		if s, err := h.NewStream(ctx, b.Target.ID, id); err == nil {
			b.trickle(ctx, s)
			_ = s.Reset()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// trickle begins a frame and never ends it, until the provider ends the stream.
func (b *besiegers) trickle(ctx context.Context, s network.Stream) {
	if _, err := s.Write(binary.AppendUvarint(nil, wire.MaxControl)); err != nil {
		return
	}
	b.opened.Add(1)
	ended := make(chan struct{})
	go func() { // ends with the stream
		defer close(ended)
		_, _ = s.Read(make([]byte, 1)) // a refusal, or the end
	}()
	next := time.NewTicker(siegePace)
	defer next.Stop()
	if !stillOpen(s, ended, next.C) {
		return
	}
	raise(&b.most, b.held.Add(1))
	defer b.held.Add(-1)
	var over time.Time
	for stillOpen(s, ended, next.C) {
		switch {
		case ctx.Err() == nil:
		case over.IsZero():
			over = time.Now()
		case time.Since(over) > siegePatience:
			b.left.Add(1)
			return
		}
	}
}

// stillOpen waits for a stream to be answered or ended, or else sends one more byte.
func stillOpen(s network.Stream, ended <-chan struct{}, next <-chan time.Time) bool {
	select {
	case <-ended:
		return false
	case <-next:
		_, err := s.Write([]byte{0})
		return err == nil
	}
}

func raise(to *atomic.Int64, n int64) {
	for {
		old := to.Load()
		if n <= old || to.CompareAndSwap(old, n) {
			return
		}
	}
}

// besiege has another process carry a siege out while do runs.
func besiege(ctx context.Context, dir string, orders siege, do func() error) (r siegeReport, err error) {
	there, err := startPeer(ctx, "siege", dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, there.close()) }()
	h, err := bareHost()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.Connect(ctx, there.AddrInfo); err != nil {
		return r, err
	}
	raw, err := h.NewStream(ctx, there.ID, siegeProtocol)
	if err != nil {
		return r, err
	}
	defer func() { _ = raw.Reset() }()
	if err := json.NewEncoder(raw).Encode(orders); err != nil {
		return r, err
	}
	told := json.NewDecoder(raw)
	if err := told.Decode(&r); err != nil {
		return r, fmt.Errorf("the besiegers don't stand: %w", err)
	}
	if err := do(); err != nil {
		return r, err
	}
	if err := raw.CloseWrite(); err != nil {
		return r, err
	}
	return r, told.Decode(&r)
}
