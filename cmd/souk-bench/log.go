package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	pool "github.com/libp2p/go-buffer-pool"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"souk/node/client"
	"souk/node/jobfile"
)

// logs are how a job's output comes to whoever watches it.
func logs() []figure {
	return []figure{
		{
			name:  "log-stream",
			about: "100-byte lines from a job to who watches it; against a bare stream in batches of 32 KiB; ≥ 30 %",
			run:   logStream,
		},
		{
			name:  "log-latency",
			about: "a single line from being written by a job to who watches it, median; ≤ 50 ms",
			run:   logLatency,
		},
	}
}

const (
	lineBytes      = 100
	streamProtocol = "/souk-bench/stream/1.0.0"
	batchBytes     = 32 << 10
)

// guestJob is the bench's own guest with a task.
func guestJob(args ...string) (jobfile.Spec, error) {
	module, err := beside("souk-bench-guest.wasm")
	spec := specFor(module, 8)
	spec.Args, spec.RealTime = args, true
	return spec, err
}

// watchLog runs a job on a rig and hands what it logs to take.
func watchLog(ctx context.Context, args []string, take func(ev client.Event)) (err error) {
	spec, err := guestJob(args...)
	if err != nil {
		return err
	}
	r, err := newRig(ctx, 4)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	b := r.control()
	id, err := b.Submit(ctx, spec, "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := b.Watch(ctx, id, 0)
	if err != nil {
		return err
	}
	for ev := range events {
		switch {
		case ev.Kind == client.LogData:
			take(ev)
		case ev.Kind == client.Finished && ev.Code == "":
			return nil
		case ev.Kind == client.Finished:
			return fmt.Errorf("%s: %s", ev.Code, ev.Text)
		}
	}
	return errors.Join(ctx.Err(), errors.New("the node stopped telling of the job"))
}

func logStream(ctx context.Context, s *session) ([]result, error) {
	lines := s.times(400_000)
	limit, err := bareStream(ctx, s, int64(lines)*lineBytes)
	if err != nil {
		return nil, err
	}
	var first, last time.Time
	var size int64
	err = watchLog(ctx, []string{"lines", strconv.Itoa(lines)}, func(ev client.Event) {
		if last = time.Now(); first.IsZero() {
			first = last
			return // what came until then isn't counted
		}
		size += int64(len(ev.Data))
		pool.Put(ev.Data) // as souk run does
	})
	if err != nil {
		return nil, err
	}
	r := against("log-stream", float64(size)/1e6/last.Sub(first).Seconds(), "MB/s", limit, "MB/s", goal{least: 0.3})
	r.Note = fmt.Sprintf("%d lines; between are the job's log, the provider's stream, the client's log and its socket", lines)
	return []result{r}, nil
}

func logLatency(ctx context.Context, s *session) ([]result, error) {
	var all []time.Duration
	var rest []byte
	err := watchLog(ctx, []string{"stamps", strconv.Itoa(s.times(50))}, func(ev client.Event) {
		now := time.Now()
		for line := range bytes.Lines(append(rest, ev.Data...)) {
			stamp, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
			if bytes.HasSuffix(line, []byte("\n")) && err == nil && stamp > 1<<60 {
				all = append(all, now.Sub(time.Unix(0, stamp)))
			}
		}
		if rest = nil; !bytes.HasSuffix(ev.Data, []byte("\n")) {
			rest = ev.Data[bytes.LastIndexByte(ev.Data, '\n')+1:]
		}
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("the job logged no stamp")
	}
	r := against("log-latency", millis(median(all)), "ms", 50, "ms allowed", goal{most: 1})
	r.Note = fmt.Sprintf("median of %d lines, the slowest %.3g ms", len(all), millis(percentile(all, 1)))
	return []result{r}, nil
}

// serveStream sends as many bytes as it is asked for, in batches, and takes files.
func serveStream(dir string) (peer.AddrInfo, error) {
	h, err := bareHost(onTCP, onQUIC)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	h.SetStreamHandler(sinkProtocol, takeFile(dir))
	h.SetStreamHandler(streamProtocol, func(raw network.Stream) {
		var left int64
		if binary.Read(raw, binary.BigEndian, &left) != nil {
			_ = raw.Reset()
			return
		}
		for batch := make([]byte, batchBytes); left > 0; left -= batchBytes {
			if _, err := raw.Write(batch[:min(left, batchBytes)]); err != nil {
				return
			}
		}
		_ = raw.Close()
	})
	return infoOf(h), nil
}

// bareStream is the MB/s of a stream between two libp2p hosts in processes of their own.
func bareStream(ctx context.Context, s *session, size int64) (float64, error) {
	return once(s, fmt.Sprint("stream/", size), func() (rate float64, err error) {
		there, err := startPeer(ctx, "stream", "")
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, there.close()) }()
		h, err := bareHost()
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		if err := h.Connect(ctx, only(there.AddrInfo, ma.P_TCP)); err != nil {
			return 0, err
		}
		raw, err := h.NewStream(ctx, there.ID, streamProtocol)
		if err != nil {
			return 0, err
		}
		defer func() { _ = raw.Reset() }()
		began := time.Now()
		if err := binary.Write(raw, binary.BigEndian, size); err != nil {
			return 0, err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, raw, make([]byte, batchBytes))
		if err == nil && n != size {
			err = fmt.Errorf("%d bytes of %d came", n, size)
		}
		return float64(n) / 1e6 / time.Since(began).Seconds(), err
	})
}
