package main

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

// attached serves a stream of the run protocol, under its raw bytes where a
// cheat wants that.
func (s *shop) attached(raw network.Stream) {
	if !s.enter() {
		_ = raw.Reset()
		return
	}
	defer s.wg.Done()
	if raw.Scope().SetService(string(wire.RunProtocol)) != nil {
		_ = raw.Reset()
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	st := wire.NewStream(ctx, raw)
	err := s.serveAttach(ctx, st, raw)
	var r *wire.Refusal
	if errors.As(err, &r) {
		err = st.Write(&pb.RunEvent{Event: &pb.RunEvent_Refusal{Refusal: r.Proto()}})
	}
	if err != nil {
		st.Reset()
		return
	}
	_ = st.Close()
}

func (s *shop) serveAttach(ctx context.Context, st *wire.Stream, raw network.Stream) error {
	var m pb.RunRequest
	if err := st.Read(&m, wire.MaxControl, wire.FrameTimeout); err != nil {
		return err
	}
	h, err := market.HashFrom(m.GetAttach().GetLease())
	if err != nil {
		return wire.Refuse(wire.BadRequest, "a conversation begins with an attach")
	}
	l := s.find(h, st.Peer())
	if l == nil {
		return wire.Refuse(wire.Unknown, "no lease %s with this peer", h)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.change(func() {
		if l.supersede != nil {
			l.supersede()
		}
		l.attaches++
		l.supersede = cancel
	})
	at := run.Attach{Lease: h, LogOffset: m.GetAttach().GetLogOffset(), ReceiptSeq: m.GetAttach().GetReceiptSeq()}
	if l.cheat.converse != nil {
		return l.cheat.converse(ctx, l, at, st, raw)
	}
	return l.converse(ctx, at, st)
}

// converse is what an honest provider does with a client that attached.
func (l *rented) converse(ctx context.Context, at run.Attach, st *wire.Stream) error {
	received := make(chan error, 1)
	l.shop.wg.Go(func() { received <- l.receive(st) })
	t := &teller{l: l, st: st, log: at.LogOffset}
	if err := t.comeBack(at.ReceiptSeq); err != nil {
		return err
	}
	silence := time.NewTicker(run.KeepAlive)
	defer silence.Stop()
	for {
		changed, err := t.tell()
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-silence.C:
			if err := st.Write(&pb.RunEvent{}); err != nil {
				return err
			}
		case err := <-received:
			return err
		case <-ctx.Done():
			return wire.Refuse(wire.Superseded, "a newer attach took this lease over")
		}
	}
}

// receive takes what the client sends until the stream ends.
func (l *rented) receive(st *wire.Stream) error {
	for {
		var m pb.RunRequest
		if err := st.Read(&m, wire.MaxControl, wire.IdleTimeout); err != nil {
			return err
		}
		switch {
		case m.GetCancel() != nil:
			l.say("the client cancels")
			l.change(func() { l.cancelled = true })
		case m.GetCountersign() != nil:
			if err := l.countersigned(st, m.GetCountersign()); err != nil {
				return err
			}
		}
	}
}

// teller sends a client what it lacks.
type teller struct {
	l     *rented
	st    *wire.Stream
	state market.State
	log   uint64
	next  int // in l.sent
}

// comeBack passes over what the client has, and gives it another receipt in
// place of its newest where the cheat does so.
func (t *teller) comeBack(seq uint32) error {
	var had []receipt
	first := false
	t.l.look(func() {
		first = t.l.attaches < 2
		for t.next < len(t.l.sent) && t.l.sent[t.next].doc.Seq <= seq {
			t.next++
		}
		had = t.l.sent[:t.next]
	})
	if t.l.cheat.again == nil || first || len(had) == 0 {
		return nil
	}
	old := had[len(had)-1]
	signed, err := t.l.sign([]market.Receipt{t.l.cheat.again(t.l, old.doc)}, old.wire.GetBody())
	if err != nil {
		return err
	}
	return t.receipt(signed[0])
}

// tell sends what is new; changed is closed when there is more.
func (t *teller) tell() (changed <-chan struct{}, err error) {
	var state market.State
	var log []byte
	var sent []receipt
	changed = t.l.look(func() {
		state, sent = t.l.state, t.l.sent[t.next:]
		log = t.l.log[min(t.log, uint64(len(t.l.log))):]
	})
	if state != t.state {
		t.state = state
		if err := t.st.Write(&pb.RunEvent{Event: &pb.RunEvent_State{State: &pb.State{State: string(state)}}}); err != nil {
			return nil, err
		}
	}
	if len(log) > 0 {
		if err := t.st.Write(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Offset: t.log, Data: log}}}); err != nil {
			return nil, err
		}
		t.log += uint64(len(log))
	}
	for _, r := range sent {
		if err := t.receipt(r); err != nil {
			return nil, err
		}
		t.next++
	}
	return changed, nil
}

func (t *teller) receipt(r receipt) error {
	if r.doc.Outcome == market.NotEnded {
		return t.st.Write(&pb.RunEvent{Event: &pb.RunEvent_Tick{Tick: &pb.Tick{Receipt: r.wire}}})
	}
	done := &pb.Done{Receipt: r.wire}
	if r.doc.Outcome == market.Succeeded {
		done.Outputs = t.l.results.root.Bytes()
	}
	return t.st.Write(&pb.RunEvent{Event: &pb.RunEvent_Done{Done: done}})
}
