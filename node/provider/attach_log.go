package provider

import (
	"context"
	"errors"
	"io"

	"souk/node/executor"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
)

// piece is a part of the log, or its end.
type piece struct {
	data []byte // good until the next piece is taken
	last bool
	err  error // with last: why there is no more, nil at the log's true end
}

// readLog reads the log in a goroutine of its own, from what was sent so far
// to its end. A nil channel means that there is none yet.
func (a *attachment) readLog(ctx context.Context, rec ledger.Lease, exec executor.Execution) <-chan piece {
	if exec == nil && rec.Outcome == market.NotEnded {
		return nil
	}
	pieces := make(chan piece) // unbuffered: pump relies on it
	a.l.p.wg.Go(func() { a.pump(ctx, exec, a.offset, pieces) })
	return pieces
}

func (a *attachment) pump(ctx context.Context, exec executor.Execution, offset uint64, pieces chan<- piece) {
	err := func() error {
		r, err := a.l.openLog(ctx, exec, offset)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		// Whoever takes a piece has sent the one before it, whose memory is then free.
		data, other := make([]byte, run.LogPiece), make([]byte, run.LogPiece)
		for {
			n, err := r.Read(data)
			if n > 0 && !pass(ctx, pieces, piece{data: data[:n]}) {
				return ctx.Err()
			}
			data, other = other, data
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}()
	if err != nil && ctx.Err() == nil {
		a.l.p.Log.Error("log unreadable", "lease", a.l.hash, "err", err)
	}
	pass(ctx, pieces, piece{last: true, err: err})
}

func pass(ctx context.Context, pieces chan<- piece, p piece) bool {
	select {
	case pieces <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *attachment) sendLog(p piece) error {
	if p.last {
		a.logged, a.broken = p.err == nil, p.err != nil
		return nil
	}
	e := &pb.Log{Offset: a.offset, Data: p.data}
	a.offset += uint64(len(p.data))
	return a.conv.Send(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: e}})
}
