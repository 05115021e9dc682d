package crashpoint_test

import (
	"time"

	"souk/node/provider"
)

// story is what the two sides live through, crashes apart, a step at a time.
type story struct {
	name   string
	relief bool // there is a second provider
	steps  []func(*world)
	end    func(*world) // sees that what was lived through of it left nothing
}

func (s story) long() bool { return s.relief }

// stories are all that is lived through. A point that is met in several of them
// counts as the first one's.
func stories() []story {
	return []story{
		{name: "market", steps: []func(*world){(*world).first, (*world).second}, end: func(*world) {}},
		{name: "lost", relief: true, steps: []func(*world){(*world).unanswered, (*world).broken, (*world).owed, (*world).decided, (*world).last}, end: (*world).allPaid},
		{name: "held", relief: true, steps: []func(*world){(*world).proven, (*world).shy}, end: (*world).allPaid},
		{name: "forgotten", relief: true, steps: []func(*world){(*world).again, (*world).forgotten, (*world).givenUp, (*world).brokenOff}, end: (*world).allPaid},
		{name: "caught", relief: true, steps: []func(*world){(*world).withheld, (*world).caught, (*world).twoOfRelief}, end: (*world).accused},
		{name: "two late", relief: true, steps: []func(*world){(*world).broken, (*world).twoLate}, end: (*world).accused},
	}
}

// live lives through the plan's story.
func (w *world) live() {
	for _, step := range w.plan.story.steps {
		if !w.spared() {
			step(w)
		}
	}
	w.net.meddleWith(nil)
	w.net.heal()
	w.plan.story.end(w)
}

// job has a job done, however it ends.
func (w *world) job(x want) { w.until("job "+x.name, func() error { return w.press(x) }) }

func (w *world) first() { w.do("first", false) }

// second is cancelled after a tick.
func (w *world) second() { w.do("second", true) }

func (w *world) last() { w.job(want{name: "last"}) }

// allPaid pays what is owed, and has both sides agree.
func (w *world) allPaid() { w.until("all is paid", w.paid) }

// night has all nodes down until the provider need keep nothing any more.
func (w *world) night() { w.sleep(provider.KeepOutputs+time.Hour, w.sides()...) }

// timeOver waits for that: then the provider closes what was never countersigned too.
func (w *world) timeOver() {
	w.night()
	w.within(time.Hour, time.Minute, "the provider's time for it is over", w.quiet)
}
