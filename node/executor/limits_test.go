package executor_test

import (
	"strings"
	"testing"
	"time"

	"souk/internal/limit/limittest"
	"souk/node/executor"
)

func TestLimits(t *testing.T) {
	valid := func(change func(*executor.Spec)) error {
		s := executor.Spec{ID: "a1", Owner: "peer", Limits: executor.Limits{Memory: 1, Disk: 1, Log: 1, Time: time.Second}}
		change(&s)
		return s.Validate()
	}
	limittest.Run(t, executor.LimitRows(), map[string]limittest.Probe{
		"arguments and environment of a job, with a byte or two after each": func(_ *testing.T, n int64) error {
			return valid(func(s *executor.Spec) { s.Args = []string{strings.Repeat("a", int(n)-1)} })
		},
		"ID of an execution": func(_ *testing.T, n int64) error {
			return valid(func(s *executor.Spec) { s.ID = strings.Repeat("a", int(n)) })
		},
	})
}
