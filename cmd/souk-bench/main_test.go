package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fixed is a figure with a known result.
func fixed(name string, r result, err error) figure {
	return figure{name: name, about: "about " + name, run: func(context.Context, *session) ([]result, error) {
		if err != nil {
			return nil, err
		}
		return []result{r}, nil
	}}
}

var sample = []figure{
	fixed("start-cold", against("start-cold", 2.2, "s", 2, "s by docker", goal{most: 1.15}), nil),
	fixed("start-warm", against("start-warm", 2.4, "s", 2, "s by docker", goal{most: 1.15}), nil),
	fixed("blob", against("blob", 80, "MB/s", 100, "MB/s", goal{least: 0.85}), nil),
	fixed("idle", against("idle", 23, "MB", 20, "MB", goal{}), nil),
	fixed("gpu", result{}, &notRun{"there is no GPU"}),
}

func TestATableSaysMetMissedAndNotRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, sample, &out, io.Discard))
	for name, want := range map[string]string{"start-cold": " met", "start-warm": " missed", "blob": " missed", "gpu": " not run: there is no GPU"} {
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, name+" ") {
				require.Contains(t, line, want)
				name = ""
			}
		}
		require.Empty(t, name, "it has no line")
	}
}

func TestJSONHasALineForEachFigure(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--json"}, sample, &out, io.Discard))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, len(sample))
	for i, line := range lines {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		for _, key := range []string{"figure", "value", "unit", "limit", "limit_unit", "ratio", "goal", "met"} {
			require.Contains(t, fields, key)
		}
		require.Equal(t, i == 0, fields["met"], line)
	}
	require.Contains(t, lines[4], `"not_run":"there is no GPU"`)
}

func TestOnlyNamesFigures(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--list", "--only", "start", "--only", "blob"}, sample, &out, io.Discard))
	require.Equal(t, 3, strings.Count(out.String(), "\n"))
	require.ErrorContains(t, run(t.Context(), []string{"--only", "nothing"}, sample, &out, io.Discard), "--list")
	require.ErrorIs(t, run(t.Context(), []string{"start"}, sample, &out, io.Discard), errUsage)
	require.ErrorIs(t, run(t.Context(), []string{"--what"}, sample, &out, io.Discard), errUsage)
	names := map[string]bool{}
	for _, f := range figures() {
		require.False(t, names[f.name], f.name)
		require.NotEmpty(t, f.about)
		names[f.name] = true
	}
}

func TestAFigureThatFailsIsSaidAndTheOthersGoOn(t *testing.T) {
	var out bytes.Buffer
	broken := errors.New("the disk is full")
	err := run(t.Context(), nil, append([]figure{fixed("broken", result{}, broken)}, sample...), &out, io.Discard)
	require.ErrorIs(t, err, broken)
	require.Contains(t, out.String(), "not run: it failed: the disk is full")
	require.Contains(t, out.String(), "start-warm")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Reset()
	require.ErrorIs(t, run(ctx, nil, sample, &out, io.Discard), context.Canceled)
	require.NotContains(t, out.String(), "blob")
}

func TestMedian(t *testing.T) {
	require.Equal(t, 3*time.Second, median([]time.Duration{5 * time.Second, time.Second, 3 * time.Second}))
	require.False(t, goal{}.met(0))
	require.False(t, against("x", 1, "s", 0, "s", goal{least: 0.5}).Met, "a limit of nothing proves nothing")
}

func TestANameMeansOneFigureOrThoseThatBeginSo(t *testing.T) {
	for name, want := range map[string][]string{
		"job": {"job"}, "negotiation": {"negotiation"}, "jobs": {"jobs-trivial", "jobs-80k", "jobs-clients"},
		"memory-idle": {"memory"}, "files-jobs": {"memory"}, "blob-tcp": {"blob"}, "nothing": nil,
	} {
		var names []string
		for _, f := range choose(figures(), []string{name}) {
			names = append(names, f.name)
		}
		require.ElementsMatch(t, want, names, name)
	}
}
