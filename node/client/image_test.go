package client_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

var pinned = "ghcr.io/you/app@sha256:" + strings.Repeat("0a", 32)

func asImage(s *jobfile.Spec) {
	s.WASM, s.Image = "", &jobfile.Image{Ref: pinned, Platform: "linux/arm64"}
}

func TestAnImageJobIsLeasedByItsName(t *testing.T) {
	f := newFake(t, script{price: 360_000, ticks: 1, output: "42", net: true})
	e := newActor(t, f).start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) {
		asImage(s)
		s.Egress = []string{"example.org:443"}
	}), "")
	require.NoError(t, err)
	events, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.Equal(t, market.KindDocker, f.asked.Executor)
	require.Equal(t, []string{"example.org:443"}, f.asked.Egress)
	require.Equal(t, "linux/arm64", f.asked.Platform)
	require.Zero(t, f.asked.InputBytes, "nothing of it is sent")
	require.True(t, slices.ContainsFunc(events, func(ev client.Event) bool {
		return ev.Kind == client.StateIs && ev.State == "preparing" && ev.Text == "pulling 120 of 800 MiB"
	}), "how far the provider is with the image")
	info, err := e.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, pinned, info.Image)
}

func TestAnArchiveTravelsAsAnInput(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "app.tar")
	require.NoError(t, os.WriteFile(archive, []byte("as docker save writes it"), 0o600))
	f := newFake(t, script{price: 360_000, ticks: 1})
	e := newActor(t, f).start(nil)
	id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.WASM, s.Image = "", &jobfile.Image{Path: archive} }), "")
	require.NoError(t, err)
	events, last := finished(t, e, id)
	require.Equal(t, "job", last.Source, last.Text)
	require.NotZero(t, f.asked.InputBytes)
	require.True(t, slices.ContainsFunc(events, func(ev client.Event) bool { return ev.Kind == client.Transfer && ev.What == "image" }))
}

func TestAnImageWithoutADigestIsNotSigned(t *testing.T) {
	e := newActor(t).start(nil)
	_, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) { s.WASM, s.Image = "", &jobfile.Image{Ref: "alpine:3"} }), "")
	require.True(t, wire.IsCode(err, client.BadInput), "%v", err)
	require.ErrorContains(t, err, "has no digest")
}

// What no provider can be blamed for is tried elsewhere, and is no mark against
// the first; unless it took something for it, or another one runs the job.
func TestWhoSaysThatAJobCantBeRunIsMarkedOnceAnotherRunsIt(t *testing.T) {
	for name, c := range map[string]struct {
		first, second script
		failed        uint64
	}{
		"both say so":             {script{unfit: true}, script{unfit: true}, 0},
		"the second one runs it":  {script{unfit: true}, script{ticks: 1}, 1},
		"it fails by itself":      {script{unfit: true}, script{ticks: 1, exit: 3}, 1},
		"the second one fails":    {script{unfit: true}, script{exitFails: true}, 0},
		"for money":               {script{ticks: 1, unfit: true}, script{unfit: true}, 1},
		"for money, and it runs":  {script{ticks: 1, unfit: true}, script{ticks: 1}, 1},
		"it says that it failed":  {script{exitFails: true}, script{ticks: 1}, 1},
		"nobody runs it, for all": {script{exitFails: true}, script{unfit: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.first.price, c.first.speed = 360_000, 100
			c.second.price, c.second.speed = 3_600_000, 100
			first := newFake(t, c.first)
			a := newActor(t, first, newFake(t, c.second))
			e := a.start(nil)
			id, err := e.Submit(t.Context(), spec(t, func(s *jobfile.Spec) {
				asImage(s)
				s.Retries = 1
			}), "")
			require.NoError(t, err)
			finished(t, e, id)
			info, err := e.Job(t.Context(), id)
			require.NoError(t, err)
			require.Len(t, info.Executions, 2)
			require.Equal(t, first.host.ID().String(), info.Executions[0].Peer)
			require.Equal(t, "provider_failed", info.Executions[0].Outcome)
			require.NoError(t, a.book.View(t.Context(), func(tx *ledger.Tx) error {
				p, err := tx.Peer(first.host.ID().String())
				require.NoError(t, err)
				require.Equal(t, c.failed, p.Failed, p.LastFault)
				return nil
			}))
		})
	}
}

func (f *fake) executors() []string {
	if f.script.runs == nil {
		return []string{market.KindWASM, market.KindDocker}
	}
	return f.script.runs
}
