package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// figure is one thing that can be measured.
type figure struct {
	name  string
	about string // one line
	also  string // the name of a result that doesn't begin as the figure's
	// run measures, and may give several results. It tells s what takes long. A *notRun is
	// what can't be measured here.
	run func(ctx context.Context, s *session) ([]result, error)
}

// session is one run of the program: who is told how far it is, and limits
// that several figures stand beside.
type session struct {
	io.Writer
	quick  bool // a tenth of every count, to see that it works
	floors map[string]any
}

// times is how often something is done: n, or with --quick a tenth of it.
func (s *session) times(n int) int {
	if s.quick {
		return max(1, n/10)
	}
	return n
}

// once gives what name stands for, measured the first time that it is asked for.
func once[T any](s *session, name string, get func() (T, error)) (T, error) {
	if v, ok := s.floors[name].(T); ok {
		return v, nil
	}
	v, err := get()
	if err == nil {
		if s.floors == nil {
			s.floors = map[string]any{}
		}
		s.floors[name] = v
	}
	return v, err
}

// result is a value beside its limit.
type result struct {
	Figure    string  `json:"figure"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Limit     float64 `json:"limit"`
	LimitUnit string  `json:"limit_unit"`
	Ratio     float64 `json:"ratio"` // value / limit
	Goal      string  `json:"goal"`  // of the ratio; empty: none
	Met       bool    `json:"met"`   // false where there is no goal, and where it wasn't run
	Note      string  `json:"note,omitempty"`
	NotRun    string  `json:"not_run,omitempty"` // why there is no value
}

// goal is what a ratio should be; the zero value is none.
type goal struct{ most, least float64 }

func (g goal) String() string {
	switch {
	case g.most > 0:
		return fmt.Sprintf("≤ %g", g.most)
	case g.least > 0:
		return fmt.Sprintf("≥ %g", g.least)
	}
	return ""
}

func (g goal) met(ratio float64) bool {
	return g.most > 0 && ratio <= g.most || g.least > 0 && ratio >= g.least
}

// against makes a result of a value and its limit, of one unit or of two.
func against(figure string, value float64, unit string, limit float64, limitUnit string, g goal) result {
	r := result{Figure: figure, Value: value, Unit: unit, Limit: limit, LimitUnit: limitUnit, Goal: g.String()}
	if limit > 0 {
		r.Ratio = value / limit
		r.Met = g.met(r.Ratio)
	}
	return r
}

// notRun is a figure that can't be measured on this machine.
type notRun struct{ reason string }

func (e *notRun) Error() string { return e.reason }

// measure runs figures one after the other, and goes on after one that fails.
func measure(ctx context.Context, figures []figure, s *session, show func([]result) error) ([]result, error) {
	progress := s.Writer
	var all []result
	var failed []error
	for _, f := range figures {
		fmt.Fprintf(progress, "%s ...\n", f.name)
		began := time.Now()
		results, err := f.run(ctx, s)
		var missing *notRun
		switch {
		case errors.As(err, &missing):
			results = []result{{Figure: f.name, NotRun: missing.reason}}
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", f.name, err))
			results = []result{{Figure: f.name, NotRun: "it failed: " + err.Error()}}
		}
		fmt.Fprintf(progress, "%s took %s\n", f.name, time.Since(began).Round(time.Millisecond))
		all = append(all, results...)
		if err := show(results); err != nil {
			return all, err
		}
		if ctx.Err() != nil {
			return all, errors.Join(append(failed, context.Cause(ctx))...)
		}
	}
	return all, errors.Join(failed...)
}
