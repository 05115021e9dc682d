package crashpoint_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// scripts/crash sets these.
var (
	listTo = flag.String("crash.list", "", "write the crash points, a line each, to this file and try none")
	tryAll = flag.Bool("crash.all", false, "try each point as often as it is met, and crash again at each point of the recovery")
	only   = flag.String("crash.only", "", "try only the points whose line has this in it")
)

// Points of a recovery at which the node crashes once more.
const (
	sampled   = 24 // after every other point, one of so many
	recovered = 40 // with -crash.all, after each point each of so many
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEachCrashPoint crashes the provider and the client before and after each
// durable write, each message and each call of the executor, in each state of
// the lease in which it is met, and lets them go on with what was durable.
func TestEachCrashPoint(t *testing.T) {
	points := survey(t)
	list(t, points)
	if *listTo != "" {
		return
	}
	tried, missed := new(atomic.Int64), new(atomic.Int64)
	t.Run("points", func(t *testing.T) {
		for i, p := range points {
			if p.nth > 1 && !*tryAll || !strings.Contains(p.String(), *only) {
				continue
			}
			t.Run(p.String(), func(t *testing.T) {
				t.Parallel()
				for _, plan := range p.plans(i) {
					tried.Add(1)
					if !live(t, plan) {
						missed.Add(1)
					}
				}
			})
		}
	})
	require.Positive(t, tried.Load(), "no crash point has %q in its line; scripts/crash --list shows them", *only)
	t.Logf("%d lives were cut off, and %d ended before their point was met", tried.Load()-missed.Load(), missed.Load())
	if *only == "" {
		require.Less(t, missed.Load()*4, tried.Load()+4, "most points have to be met again")
	}
}

// met is a point as it was met for the nth time in a story.
type met struct {
	point
	story story
	nth   int
}

func (m met) String() string {
	line := fmt.Sprintf("%-9s  %s", m.story.name, m.point)
	if m.nth == 1 {
		return line
	}
	return fmt.Sprintf("%s, time %d", line, m.nth)
}

// survey lets both sides live through all stories without a crash and gives the
// points they met. A story has those that no former one has met.
func survey(t *testing.T) (all []met) {
	before := map[point]bool{}
	for _, one := range stories() {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, plan{story: one})
			defer w.end()
			w.live()
			all = append(all, w.met(before)...)
		})
		for _, m := range all {
			before[m.point] = true
		}
	}
	return all
}

func (w *world) met(before map[point]bool) (all []met) {
	for _, side := range []string{"provider", "client"} {
		times := map[point]int{}
		for _, p := range w.lives[side][0].points() {
			if times[p]++; !before[p] {
				all = append(all, met{p, w.plan.story, times[p]})
			}
		}
	}
	return all
}

// list says how many points there are, and shows them to whoever asks.
func list(t *testing.T, points []met) {
	text, count := new(strings.Builder), map[string]int{}
	for _, p := range points {
		if p.nth == 1 {
			count[p.side]++
			fmt.Fprintln(text, p)
		}
	}
	t.Logf("%d points of the provider, %d of the client; %d counting repeated ones", count["provider"], count["client"], len(points))
	require.Greater(t, min(count["provider"], count["client"]), 60, "too few points to be all")
	if *listTo != "" {
		require.NoError(t, os.WriteFile(*listTo, []byte(text.String()), 0o600))
	}
}

// plans are what is tried at a point: a power loss, and at every other one a kill
// with one more crash in the recovery; in the stories after the first one, which
// are longer, one of the two in turn.
func (m met) plans(i int) (plans []plan) {
	short := !*tryAll
	if !m.story.long() || i%2 == 1 || *tryAll {
		plans = append(plans, plan{story: m.story, side: m.side, power: true, short: short && m.story.long(), fatal: []func(point) bool{m.fatal()}})
	}
	for k := 1; k <= recovered; k++ {
		if *tryAll || i%2 == 0 && k == 1+(i/2*7)%sampled {
			plans = append(plans, plan{story: m.story, side: m.side, short: short, fatal: []func(point) bool{m.fatal(), count(k)}})
		}
	}
	return plans
}

func (m met) fatal() func(point) bool {
	left := m.nth
	return func(p point) bool {
		if p == m.point {
			left--
		}
		return p == m.point && left == 0
	}
}

func count(k int) func(point) bool {
	return func(point) bool {
		k--
		return k == 0
	}
}

// live lets a world live through a plan, and tells whether its point was met.
func live(t *testing.T, p plan) (crashed bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p)
		defer w.end()
		w.live()
		crashed = w.lives[p.side][0].isDead()
	})
	return crashed
}
