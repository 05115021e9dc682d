package hostile_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	stdstrings "strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

const (
	patience = 3 * time.Minute // for whatever must end
	atOnce   = 3               // modules that run together
)

var only = flag.String("only", "", "names of the modules to try, with commas between them; empty: all")

// verdict is what became of one module.
type verdict struct {
	hostile
	ended string
	took  time.Duration
	over  time.Duration // how long it ran past its time limit
	wrong []string      // what must not be, in sentences
}

func TestHostileModules(t *testing.T) {
	s := newSuite(t)
	cases := hostiles()
	require.GreaterOrEqual(t, len(cases), 50)
	if *only != "" {
		names := stdstrings.Split(*only, ",")
		cases = slices.DeleteFunc(cases, func(h hostile) bool { return !slices.Contains(names, h.name) })
	}
	bystander := s.bystander(t)
	verdicts := make([]verdict, len(cases))
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, h := range cases {
		spec := s.spec(t, fmt.Sprintf("hostile%d", i), h)
		slots <- struct{}{}
		wg.Go(func() {
			verdicts[i] = s.try(t.Context(), spec, h)
			<-slots
		})
	}
	wg.Wait()
	t.Log(table(verdicts))
	for _, v := range verdicts {
		for _, w := range v.wrong {
			t.Errorf("%s: %s", v.name, w)
		}
	}
	require.True(t, bystander.Usage().Running, "another job runs on")
	require.NoError(t, bystander.Stop(t.Context()))
	require.Equal(t, executor.Stopped, bystander.Result().Cause)
	require.NoError(t, bystander.Remove())
	s.afterwards(t)
}

// try runs one module from Prepare to Remove.
func (s *suite) try(ctx context.Context, spec executor.Spec, h hostile) (v verdict) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	v.hostile = h
	wrong := func(format string, args ...any) { v.wrong = append(v.wrong, fmt.Sprintf(format, args...)) }
	exec := s.exec
	if h.bomb {
		exec = s.bombed
	}
	x, err := exec.Prepare(ctx, spec)
	if err == nil {
		defer func() {
			if err := x.Remove(); err != nil {
				wrong("it could not be removed: %v", err)
			}
			v.wrong = append(v.wrong, s.left(spec.ID)...)
		}()
		v.ended, err = s.live(ctx, x)
	}
	v.took = time.Since(began)
	var bad *executor.JobError
	switch {
	case errors.As(err, &bad):
		v.ended = refused
		if bad.Reason == "" || stdstrings.Contains(bad.Reason, "\n") {
			wrong("its refusal is no sentence: %q", bad.Reason)
		}
	case err != nil:
		wrong("it could not be tried: %v", err)
		return v
	}
	if !slices.Contains(h.ends, v.ended) {
		wrong("it ended with %s and not with %s", v.ended, stdstrings.Join(h.ends, " or "))
	}
	if x != nil {
		if v.over = max(0, x.Result().Ran-spec.Limits.Time); v.over > time.Second {
			wrong("it ran on for %s after its limit", v.over)
		}
		v.wrong = append(v.wrong, s.harvest(ctx, x)...)
	}
	return v
}

// live starts an execution, waits for its end, and says how that was.
func (s *suite) live(ctx context.Context, x executor.Execution) (string, error) {
	if err := x.Start(ctx); err != nil {
		return "", err
	}
	select {
	case <-x.Done():
	case <-ctx.Done():
		return "", errors.Join(errors.New("it did not end"), x.Stop(context.WithoutCancel(ctx)))
	}
	r := x.Result()
	if r.Cause == executor.Exited {
		return fmt.Sprintf("exit %d", r.ExitCode), nil
	}
	if r.Cause == executor.Failed {
		return "failed: " + r.Detail, nil
	}
	return string(r.Cause), nil
}

// harvest looks at what it left, before that is removed.
func (s *suite) harvest(ctx context.Context, x executor.Execution) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	log, err := readLog(ctx, x)
	if err != nil {
		say("its log: %v", err)
	}
	if len(log) > logLimit+200 {
		say("its log has %d bytes", len(log))
	}
	if int64(len(log)) != x.Usage().Log {
		say("its log has %d bytes and %d were told", len(log), x.Usage().Log)
	}
	if size := weigh(x.OutputDir()); size > diskLimit {
		say("its outputs have %d bytes on disk", size)
	}
	for _, name := range strange(filepath.Dir(x.OutputDir())) {
		say("its workspace holds %s", name)
	}
	return wrong
}

func readLog(ctx context.Context, x executor.Execution) ([]byte, error) {
	r, err := x.Log(ctx, 0)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r)
	return raw, errors.Join(err, r.Close())
}

// table shows how each ended, those that took longest first.
func table(all []verdict) string {
	slices.SortFunc(all, func(a, b verdict) int { return cmp.Compare(b.took, a.took) })
	var b stdstrings.Builder
	var most time.Duration
	fmt.Fprintf(&b, "%d modules\n%-40s %-14s %8s %8s\n", len(all), "module", "ended", "took", "over")
	for _, v := range all {
		over := ""
		if slices.Contains(v.ends, limitTime) {
			over = v.over.Round(time.Millisecond).String()
			most = max(most, v.over)
		}
		fmt.Fprintf(&b, "%-40s %-14.40s %8s %8s\n", v.name, v.ended, v.took.Round(time.Millisecond), over)
	}
	fmt.Fprintf(&b, "longest past a time limit: %v\n", most.Round(time.Millisecond))
	return b.String()
}
