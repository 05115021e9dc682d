package executor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

func TestASpecThatCantRunIsRefusedInASentence(t *testing.T) {
	some := cid.MustParse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
	good := executor.Spec{ID: "a1", Owner: "peer", Outputs: "/out", Limits: executor.Limits{Memory: 1, Disk: 1, Log: 1, Time: time.Second}}
	require.NoError(t, good.Validate())
	cases := map[string]struct {
		change func(*executor.Spec)
		says   string
		fault  bool // of the node, not of the job
	}{
		"no owner":        {func(s *executor.Spec) { s.Owner = "" }, "an owner", true},
		"a path as ID":    {func(s *executor.Spec) { s.ID = "../x" }, "lower-case letters and digits", true},
		"a long ID":       {func(s *executor.Spec) { s.ID = strings.Repeat("a", executor.MaxID+1) }, "lower-case", true},
		"no limit":        {func(s *executor.Spec) { s.Limits.Log = 0 }, "a limit over zero", false},
		"a zero byte":     {func(s *executor.Spec) { s.Args = []string{"a\x00"} }, "a zero byte", false},
		"a variable":      {func(s *executor.Spec) { s.Env = map[string]string{"A=B": ""} }, "environment variable", false},
		"much text":       {func(s *executor.Spec) { s.Args = []string{strings.Repeat("a", executor.MaxStrings)} }, "at most 131072", false},
		"no content":      {func(s *executor.Spec) { s.Inputs = []executor.Input{{At: "/in"}} }, "names no content", false},
		"a path upwards":  {func(s *executor.Spec) { s.Outputs = "/a/../b" }, "can't be a job's path", false},
		"a relative path": {func(s *executor.Spec) { s.Outputs = "out" }, "can't be a job's path", false},
		"the root":        {func(s *executor.Spec) { s.Outputs = "/" }, "can't be a job's path", false},
		"a long name":     {func(s *executor.Spec) { s.Outputs = "/" + strings.Repeat("a", 256) }, "can't be a job's path", false},
		"one in another":  {func(s *executor.Spec) { s.Inputs = []executor.Input{{At: "/out/in", CID: some}} }, "overlap", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := good
			c.change(&s)
			err := s.Validate()
			require.ErrorContains(t, err, c.says)
			var bad *executor.JobError
			require.Equal(t, c.fault, !errors.As(err, &bad))
		})
	}
}
