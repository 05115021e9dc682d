// Package run is /souk/run/1.0.0: the conversation between a client and the
// provider that runs its lease, from Attach to the last receipt.
//
// The provider sends Log, Tick and Done; the client sends Countersign,
// Cancel, and Begin where its attach holds the process back. The newest attach wins. Detaching stops nothing. A silence of
// KeepAlive is filled with an empty State, so that either side notices within
// wire.IdleTimeout that the other is gone.
package run

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// KeepAlive is the longest time that either side says nothing.
const KeepAlive = 4 * time.Second

// MaxLog is the most log bytes in one frame.
const MaxLog = 64 << 10

// LogPiece is how much log is best put into one frame: as much as goes into one
// message of yamux with all that is around it.
const LogPiece = MaxLog - 128

// Runner is what the server needs. Attach runs the conversation and returns
// when it is over; what it returns decides what becomes of the stream.
type Runner interface {
	Attach(ctx context.Context, client peer.ID, a Attach, c *Conversation) error
}

// Attach is where a client wants a lease's conversation to go on.
type Attach struct {
	Lease      market.Hash
	LogOffset  uint64
	ReceiptSeq uint32
	// Hold keeps the process from starting until Begin, or until an attach
	// without it; its time runs meanwhile.
	Hold bool
}

// Conversation is the provider's end.
type Conversation struct{ s *wire.Stream }

// Send sends one event to the client.
func (c *Conversation) Send(e *pb.RunEvent) error { return c.s.Write(e) }

// Receive waits for the client's next message.
func (c *Conversation) Receive() (*pb.RunRequest, error) {
	var m pb.RunRequest
	err := c.s.Read(&m, wire.MaxControl, wire.IdleTimeout)
	return &m, err
}

// Serve serves attaches.
func Serve(d *wire.Dispatcher, r Runner) {
	d.Handle(wire.RunProtocol, refuse, func(ctx context.Context, s *wire.Stream) error {
		var m pb.RunRequest
		if err := s.Read(&m, wire.MaxControl, wire.FrameTimeout); err != nil {
			return err
		}
		a := m.GetAttach()
		if a == nil {
			return wire.Malformed("a conversation begins with an attach")
		}
		lease, err := market.HashFrom(a.GetLease())
		if err != nil {
			return wire.Malformed("%v", err)
		}
		return r.Attach(ctx, s.Peer(), Attach{Lease: lease, LogOffset: a.GetLogOffset(), ReceiptSeq: a.GetReceiptSeq(), Hold: a.GetHold()}, &Conversation{s})
	})
}

func refuse(r *pb.Refusal) proto.Message {
	return &pb.RunEvent{Event: &pb.RunEvent_Refusal{Refusal: r}}
}

// Session is the client's end.
type Session struct {
	s       *wire.Stream
	silence time.Duration
	log     []byte // of the event that was read last
}

// Open attaches to a lease. Cancelling ctx ends the session, and so does a
// provider that says nothing for wire.IdleTimeout.
func Open(ctx context.Context, h host.Host, p peer.ID, a Attach) (*Session, error) {
	s, err := wire.Open(ctx, h, p, wire.RunProtocol)
	if err != nil {
		return nil, err
	}
	m := &pb.Attach{Lease: a.Lease[:], LogOffset: a.LogOffset, ReceiptSeq: a.ReceiptSeq, Hold: a.Hold}
	if err := s.Write(&pb.RunRequest{Request: &pb.RunRequest_Attach{Attach: m}}); err != nil {
		s.Reset()
		return nil, err
	}
	return &Session{s: s, silence: wire.IdleTimeout}, nil
}

// Impatient ends the session after a shorter silence of the provider, which
// should be well above KeepAlive.
func (c *Session) Impatient(silence time.Duration) { c.silence = min(silence, wire.IdleTimeout) }

// Next waits for the provider's next event; a refusal comes as the error. The
// bytes of a Log are good until the next call.
func (c *Session) Next() (*pb.RunEvent, error) {
	var e pb.RunEvent
	if err := c.s.ReadRaw(wire.MaxData, c.silence, func(body []byte) error { return c.decode(body, &e) }); err != nil {
		return nil, err
	}
	if r := e.GetRefusal(); r != nil {
		return nil, wire.FromProto(r)
	}
	if n := len(e.GetLog().GetData()); n > MaxLog {
		return nil, wire.Malformed("%d bytes of log at once, %d are allowed", n, MaxLog)
	}
	return &e, nil
}

// Countersign sends the client's signature on a receipt, with the voucher
// that covers what comes next (nil on a lease of price 0).
func (c *Session) Countersign(seq uint32, sig market.Signature, v *pb.Voucher) error {
	return c.s.Write(&pb.RunRequest{Request: &pb.RunRequest_Countersign{Countersign: &pb.Countersign{
		Seq: seq, ClientSignature: sig[:], Voucher: v,
	}}})
}

// Cancel asks the provider to stop.
func (c *Session) Cancel() error {
	return c.s.Write(&pb.RunRequest{Request: &pb.RunRequest_Cancel{Cancel: &pb.Cancel{}}})
}

// Begin lets the process start that the attach holds back.
func (c *Session) Begin() error {
	return c.s.Write(&pb.RunRequest{Request: &pb.RunRequest_Begin{Begin: &pb.Begin{}}})
}

// Ping fills a silence.
func (c *Session) Ping() error { return c.s.Write(&pb.RunRequest{}) }

// Close ends the session; the lease goes on.
func (c *Session) Close() { c.s.Reset() }
