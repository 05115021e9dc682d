package client

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// maxHistory is how many events of a running job are kept for those who
// watch it later; of more than that the older ticks and transfers are dropped.
const maxHistory = 2048

// hub holds what happened to a job, in order, and wakes those who watch. The
// log is not in it: that is read from its file.
type hub struct {
	id string

	mu      sync.Mutex
	events  []numbered
	last    int
	changed chan struct{} // closed and replaced at each change
}

type numbered struct {
	n int
	Event
}

func (h *hub) add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	if end := len(h.events) - 1; end >= 0 && replaces(e, h.events[end].Event) {
		h.events = h.events[:end]
	}
	h.events = append(h.events, numbered{h.last, e})
	if len(h.events) > maxHistory {
		h.compact()
	}
	h.wakeLocked()
}

// replaces tells that an event says the same as the one before it, only newer.
func replaces(e, before Event) bool {
	if e.Kind != before.Kind || e.Attempt != before.Attempt {
		return false
	}
	return e.Kind == Transfer && e.What == before.What || e.Kind == StateIs && e.State == before.State
}

// compact drops the ticks, transfers and notices of the older half.
func (h *hub) compact() {
	half := len(h.events) / 2
	old := slices.DeleteFunc(h.events[:half:half], func(e numbered) bool {
		return e.Kind == Ticked || e.Kind == Transfer || e.Kind == Notice || e.Kind == StateIs
	})
	h.events = append(old, h.events[half:]...)
}

func (h *hub) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wakeLocked()
}

func (h *hub) wakeLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// after gives the events after number n, and what is closed when there are more.
func (h *hub) after(n int) (events []numbered, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.events) - 1; i >= 0 && h.events[i].n > n; i-- {
		events = append(events, h.events[i])
	}
	slices.Reverse(events)
	return events, h.changed
}

// newHub makes a hub with what the ledger knows of a job.
func (e *Engine) newHub(id string) (*hub, error) {
	h := &hub{id: id, changed: make(chan struct{})}
	err := e.cfg.Ledger.View(e.ctx, func(tx *ledger.Tx) error {
		j, leases, err := jobAndLeases(tx, id)
		if err != nil {
			return err
		}
		h.replay(Event{Kind: Placed, Job: j.ID, Text: j.Name}, j.Created)
		for _, l := range leases {
			if err := h.replayLease(tx, l); err != nil {
				return err
			}
		}
		if j.State == ledger.JobDone {
			h.replay(finishedEvent(j), j.Ended)
		}
		return nil
	})
	return h, err
}

func (h *hub) replay(e Event, at uint64) {
	e.Job, e.At = h.id, time.UnixMilli(int64(at)) //nolint:gosec // written by this node
	h.add(e)
}

func (h *hub) replayLease(tx *ledger.Tx, l ledger.Lease) error {
	q, err := market.DecodeQuote(l.Quote)
	if err != nil {
		return err
	}
	if len(l.ProviderSignature) > 0 {
		h.replay(Event{Kind: Leased, Lease: l.Hash.Hex(), Peer: l.Peer, Attempt: l.Attempt, PricePerHour: q.PricePerHour()}, l.Created)
	}
	for rec, err := range tx.Receipts(ledger.Client, l.Hash) {
		if err != nil {
			return err
		}
		r, err := market.DecodeReceipt(rec.Block)
		if err != nil {
			return err
		}
		if len(rec.ClientSignature) > 0 {
			charged := r.Charged
			at := l.Started + r.Units // about
			h.replay(Event{Kind: Ticked, Attempt: l.Attempt, Seq: r.Seq, Units: r.Units, Charged: &charged}, at)
		}
	}
	if l.State == market.Closed {
		outcome, err := outcomeOf(tx, l)
		if err != nil {
			return err
		}
		h.replay(endedEvent(l, outcome), l.Ended)
	}
	return nil
}

// emit tells those who watch what happened.
func (r *runner) emit(e Event) {
	e.Job, e.At = r.id, r.e.cfg.Clock.Now()
	r.hub.add(e)
}

// notice tells in words; code may be empty.
func (r *runner) notice(code wire.Code, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.e.cfg.Log.Info("job", "job", r.id, "code", code, "text", text)
	r.emit(Event{Kind: Notice, Code: string(code), Text: text})
}
