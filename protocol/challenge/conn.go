package challenge

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"souk/protocol/wire"
)

// Conn carries a conversation; *wire.Stream is one.
type Conn interface {
	// Read reads one message of at most limit bytes, which begins within idle.
	// io.EOF is the orderly end, wire.ErrSlow a peer that says nothing.
	Read(m proto.Message, limit int, idle time.Duration) error
	Write(m proto.Message) error
	// Reset ends the conversation at once; what waits in Read or Write fails.
	Reset()
}

// Pipe is a conversation within one process: that of a node that measures
// itself. Both ends end with ctx.
func Pipe(ctx context.Context) (client, server *PipeEnd) {
	there, back := make(chan []byte), make(chan []byte)
	a, b := make(chan struct{}), make(chan struct{})
	client = &PipeEnd{ctx: ctx, in: back, out: there, own: a, other: b}
	return client, &PipeEnd{ctx: ctx, in: there, out: back, own: b, other: a}
}

// PipeEnd is one end of a Pipe.
type PipeEnd struct {
	ctx   context.Context //nolint:containedctx // the life of the pipe
	in    <-chan []byte
	out   chan<- []byte
	own   chan struct{}
	other <-chan struct{}
	once  sync.Once
}

// Read implements Conn.
func (p *PipeEnd) Read(m proto.Message, limit int, idle time.Duration) error {
	t := time.NewTimer(idle)
	defer t.Stop()
	select {
	case b := <-p.in:
		if len(b) > limit {
			return fmt.Errorf("%w: %d bytes, %d allowed", wire.ErrTooLarge, len(b), limit)
		}
		return proto.Unmarshal(b, m)
	case <-p.other:
		return io.EOF
	case <-p.own:
		return io.ErrClosedPipe
	case <-t.C:
		return wire.ErrSlow
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// Write implements Conn.
func (p *PipeEnd) Write(m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	select {
	case p.out <- b:
		return nil
	case <-p.other:
		return io.ErrClosedPipe
	case <-p.own:
		return io.ErrClosedPipe
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// Reset implements Conn.
func (p *PipeEnd) Reset() { p.Close() }

// Close ends this side: the other one reads io.EOF.
func (p *PipeEnd) Close() { p.once.Do(func() { close(p.own) }) }
