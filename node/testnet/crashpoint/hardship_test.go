package crashpoint_test

import (
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/pb"
)

// What goes wrong between two honest sides.

// unanswered loses an accept on its way, and the provider with it for a moment.
// The client has the quote voided and goes to the next provider.
func (w *world) unanswered() {
	w.loseOne(func(m proto.Message) bool {
		r, ok := m.(*pb.LeaseRequest)
		return ok && r.GetAccept() != nil
	}, func() {
		w.net.cut(w.seller.id)
		time.AfterFunc(1200*time.Millisecond, w.net.heal) // a little longer than accepts are sent again
	})
	w.job(want{name: "unanswered"})
}

// loseOne loses the first message of a kind between the client and the provider that
// crashes, and then does something else.
func (w *world) loseOne(is func(proto.Message) bool, then func()) {
	var lost atomic.Bool
	w.net.meddleWith(func(s *memStream, m proto.Message) proto.Message {
		if s.host.id != w.seller.id && s.remote != w.seller.id || !is(m) || lost.Swap(true) {
			return m
		}
		then()
		return nil
	})
}

// broken loses the provider while a job runs, until the client has given it up
// and the next provider has run the job.
func (w *world) broken() {
	w.job(want{name: "broken", look: w.running(func() { w.net.cut(w.seller.id) })})
	w.net.heal()
}

// running does something once, a little after the first tick of a lease with the
// provider that crashes.
func (w *world) running(do func()) func(ledger.Lease) {
	seen := 0
	return func(l ledger.Lease) {
		if l.Peer != w.seller.id.String() || l.Countersigned.Seq == 0 {
			return
		}
		if seen++; seen == 2 {
			do()
		}
	}
}

// here is a job that only the one provider can run.
func here(s *seller) func(*jobfile.Spec) {
	return func(spec *jobfile.Spec) { spec.Region = s.region }
}

// owed meets the provider again: what vouchers cover of the broken lease is paid
// late, and the rest is in dispute, so that the job isn't run.
func (w *world) owed() { w.job(want{name: "owed", edit: here(w.seller)}) }

// decided has a person decide on that.
func (w *world) decided() { w.until("nothing is in dispute", w.decide) }

// again has the provider's node started again while a job runs.
func (w *world) again() {
	w.job(want{name: "again", edit: here(w.seller), look: w.running(func() { w.sleep(0, w.sides()[0]) })})
}

// forgotten loses the provider while a job runs, and the provider's node is
// started again meanwhile: it may sign nothing before it has heard of the client.
// It doesn't until its time for the lease is over.
func (w *world) forgotten() {
	w.job(want{name: "forgotten", look: w.running(func() {
		w.net.cut(w.seller.id)
		w.sleep(0, w.sides()[0])
	})})
}

func (w *world) givenUp() {
	w.night()
	w.within(time.Hour, time.Minute, "the provider gives it up", w.rest)
	w.net.heal()
}

// brokenOff meets the provider again, and the conversation on the lost lease breaks off.
func (w *world) brokenOff() {
	w.loseOne(func(m proto.Message) bool {
		r, ok := m.(*pb.RunRequest)
		return ok && r.GetAttach() != nil
	}, func() {})
	w.job(want{name: "broken off", edit: here(w.seller)})
}

// onGPU is a job that has its devices challenged before it begins.
func onGPU(spec *jobfile.Spec) {
	spec.GPU, spec.AllowSimulated, spec.Verify.Challenge = &market.GPUNeed{Name: "RTX 4090", Count: 1}, true, true
}

// proven is held back until the devices have stood their challenge.
func (w *world) proven() {
	w.job(want{name: "proven", edit: func(s *jobfile.Spec) { onGPU(s); s.Region = w.seller.region }})
	w.until("quiet after it", w.quiet)
}

// shy finds that the provider takes no challenge; the next one does.
func (w *world) shy() {
	w.seller.cores.shy.Store(true)
	w.job(want{name: "shy", edit: onGPU})
	w.until("quiet after it", w.quiet)
}
