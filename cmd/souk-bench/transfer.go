package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/blob"
	wireblob "souk/protocol/blob"
	"souk/protocol/market"
)

// transfers are blobs that go from one process to another.
func transfers() []figure {
	return []figure{
		{
			name:  "blob",
			about: "1 GiB to another process, verified and synced; against a bare stream with sha256 into a synced file, the best of TCP and QUIC; ≥ 85 %",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return transfer(ctx, s, "blob", int64(s.times(1<<30)), 0)
			},
		},
		{
			name:  "blob-50ms",
			about: "256 MiB over a line of 50 ms round trip time, likewise",
			run: func(ctx context.Context, s *session) ([]result, error) {
				return transfer(ctx, s, "blob-50ms", int64(s.times(256<<20)), 50*time.Millisecond)
			},
		},
	}
}

const (
	sinkProtocol = "/souk-bench/sink/1.0.0"
	sinkBatch    = 256 << 10
)

// ways are the transports that blobs can go by; the last is what souk takes by itself.
var ways = []struct {
	name     string
	protocol int // of the addresses that are used; 0: all
}{{"tcp", ma.P_TCP}, {"quic", ma.P_QUIC_V1}, {"", 0}}

// transfer moves a file by each way, with souk and bare.
func transfer(ctx context.Context, s *session, name string, size int64, rtt time.Duration) (_ []result, err error) {
	dir, remove, err := scratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	file := filepath.Join(dir, "file")
	if err := writeRandom(file, size); err != nil {
		return nil, err
	}
	space, err := localSpace(dir)
	if err != nil {
		return nil, err
	}
	root, _, err := blob.AddPath(ctx, space, file, nil)
	if err != nil {
		return nil, err
	}
	var results []result
	best := 0.0
	for _, way := range ways {
		limit, bare := best, 0.0
		if way.protocol != 0 {
			if bare, err = sendBare(ctx, dir, file, way.protocol, rtt); err != nil {
				return nil, fmt.Errorf("a bare stream over %s: %w", way.name, err)
			}
			limit, best = bare, max(best, bare)
		}
		rate, took, err := sendBlob(ctx, dir, space, root, size, way.protocol, rtt)
		if err != nil {
			return nil, fmt.Errorf("a blob over %s: %w", way.name, err)
		}
		fmt.Fprintf(s, "  %s over %s: %.0f MB/s, bare %.0f MB/s\n", name, took, rate, bare)
		title, g := name+"-"+way.name, goal{}
		if way.protocol == 0 {
			title, g = name, goal{least: 0.85}
		}
		r := against(title, rate, "MB/s", limit, "MB/s", g)
		r.Note = fmt.Sprintf("%d MiB over %s; both sides of the ratio are synced to disk", size>>20, took)
		results = append(results, r)
	}
	return results, nil
}

// reach starts a process in a role, and gives how it is reached by one way.
func reach(ctx context.Context, role, dir string, protocol int, rtt time.Duration) (at peer.AddrInfo, close func() error, err error) {
	there, err := startPeer(ctx, role, dir)
	if err != nil {
		return at, nil, err
	}
	at, close = there.AddrInfo, there.close
	if protocol != 0 {
		at = only(at, protocol)
	}
	if rtt == 0 {
		return at, close, nil
	}
	at, unplug, err := behind(at, rtt)
	if err != nil {
		return at, nil, errors.Join(err, close())
	}
	return at, func() error { return errors.Join(unplug(), there.close()) }, nil
}

// sendBlob moves a DAG into an empty store of another process; took names the transport.
func sendBlob(ctx context.Context, dir string, space *blob.Space, root cid.Cid, size int64, protocol int, rtt time.Duration) (rate float64, took string, err error) {
	vault := filepath.Join(dir, "vault")
	at, close, err := reach(ctx, "vault", vault, protocol, rtt)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, close(), os.RemoveAll(vault)) }()
	n, err := soukHost(ctx)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := n.Connect(ctx, at); err != nil {
		return 0, "", err
	}
	var lease market.Hash
	_, _ = rand.Read(lease[:]) // never fails
	source := func(skip int) wireblob.Source { return space.Source(ctx, root, skip, blob.Limits{}) }
	began := time.Now()
	if err := wireblob.Put(ctx, n.Host(), at.ID, lease, root, source, nil); err != nil {
		return 0, "", err
	}
	return float64(size) / 1e6 / time.Since(began).Seconds(), transportOf(n.Host(), at.ID), nil
}

// transportOf names what a connection runs over.
func transportOf(h host.Host, p peer.ID) string {
	open := h.Network().ConnsToPeer(p)
	if len(open) == 0 {
		return "nothing"
	}
	state := open[0].ConnState()
	if state.Security == "" {
		return state.Transport
	}
	return state.Transport + " with " + string(state.Security)
}

// sendBare moves a file over one bare stream into a file on the other side.
func sendBare(ctx context.Context, dir, file string, protocol int, rtt time.Duration) (rate float64, err error) {
	sink := filepath.Join(dir, "sink")
	if err := os.Mkdir(sink, 0o700); err != nil {
		return 0, err
	}
	at, close, err := reach(ctx, "stream", sink, protocol, rtt)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, close(), os.RemoveAll(sink)) }()
	h, err := bareHost()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.Connect(ctx, at); err != nil {
		return 0, err
	}
	f, err := os.Open(file) //nolint:gosec // our own path
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	raw, err := h.NewStream(ctx, at.ID, sinkProtocol)
	if err != nil {
		return 0, err
	}
	defer func() { _ = raw.Reset() }()
	began := time.Now()
	if err := binary.Write(raw, binary.BigEndian, info.Size()); err != nil {
		return 0, err
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{raw}, struct{ io.Reader }{f}, make([]byte, sinkBatch)); err != nil {
		return 0, err
	}
	theirs := make([]byte, sum.Size())
	if _, err := io.ReadFull(raw, theirs); err != nil {
		return 0, err
	}
	rate = float64(info.Size()) / 1e6 / time.Since(began).Seconds()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := io.Copy(sum, f); err != nil {
		return 0, err
	}
	if !bytes.Equal(sum.Sum(nil), theirs) {
		return 0, errors.New("what arrived isn't what was sent")
	}
	return rate, nil
}

// takeFile is the other side: it answers with the hash once the file is synced.
func takeFile(dir string) network.StreamHandler {
	return func(raw network.Stream) {
		var size int64
		err := binary.Read(raw, binary.BigEndian, &size)
		if err == nil {
			var sum []byte
			if sum, err = writeHashed(filepath.Join(dir, "file"), io.LimitReader(raw, size)); err == nil {
				_, err = raw.Write(sum)
			}
		}
		if err != nil {
			_ = raw.Reset()
			return
		}
		_ = raw.Close()
	}
}

func writeHashed(path string, from io.Reader) ([]byte, error) {
	f, err := os.Create(path) //nolint:gosec // our own path
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(sum, f)}, struct{ io.Reader }{from}, make([]byte, sinkBatch))
	return sum.Sum(nil), errors.Join(err, f.Sync(), f.Close())
}
