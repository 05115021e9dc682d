package control_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/wire"
)

func serve(t *testing.T, dir string, node control.Backend) *control.Server {
	s, err := control.Serve(dir, node, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestEveryQuestionArrivesAndIsAnswered(t *testing.T) {
	dir, node, ctx := t.TempDir(), newFakeNode(), t.Context()
	serve(t, dir, node)
	c := control.NewClient(dir)

	status, err := c.Status(ctx)
	require.NoError(t, err)
	want, _ := node.Status(ctx)
	require.Equal(t, want, status)

	checks, err := c.Doctor(ctx)
	require.NoError(t, err)
	require.Len(t, checks, 1)

	price := market.NewAmount(5)
	need := control.Need{GPU: &market.GPUNeed{Name: "any", Count: 1}, Price: &price, Region: "eu"}
	offers, err := c.Offers(ctx, need)
	require.NoError(t, err)
	require.Equal(t, "a", offers[0].Peer)
	require.Equal(t, need, node.need)

	spec := jobfile.Spec{Name: "digits", Args: []string{"x"}, Total: market.NewAmount(9), Time: time.Minute, Price: &price}
	plan, err := c.Plan(ctx, spec)
	require.NoError(t, err)
	require.Equal(t, "plan of digits", plan.ID)
	id, err := c.Submit(ctx, spec, plan.ID)
	require.NoError(t, err)
	require.Equal(t, "job-1", id)
	require.Equal(t, []jobfile.Spec{spec}, node.submitted)
	require.Equal(t, []string{plan.ID}, node.plans)

	verdict, err := c.Challenge(ctx, control.ChallengeOf{Peer: "a", Slug: "rtx-4090", Count: 2})
	require.NoError(t, err)
	require.Equal(t, challenge.Verdict{Slug: "rtx-4090", Count: 2}, verdict)

	jobs, err := c.Jobs(ctx)
	require.NoError(t, err)
	wantJobs, _ := node.Jobs(ctx)
	require.Equal(t, wantJobs, jobs)
	job, err := c.Job(ctx, id)
	require.NoError(t, err)
	require.Equal(t, id, job.ID)

	require.NoError(t, c.Cancel(ctx, id))
	require.NoError(t, c.Outputs(ctx, id, "/there"))
	require.Equal(t, "/there", node.dir)

	receipts, err := c.Receipts(ctx)
	require.NoError(t, err)
	require.Equal(t, uint32(3), receipts[0].Seq)
	disputes, err := c.Disputes(ctx)
	require.NoError(t, err)
	require.Equal(t, market.NewAmount(30_000), disputes[0].Owed)
	require.NoError(t, c.PayDisputed(ctx, "l", market.NewAmount(30_000)))
	require.NoError(t, c.LeaveDisputed(ctx, "m"))
	require.Equal(t, []string{"l 30000", "m left"}, node.paid)
	bundle, err := c.Bundle(ctx, "l")
	require.NoError(t, err)
	_, err = bundle.Verify()
	require.NoError(t, err)
	leases, err := c.Leases(ctx)
	require.NoError(t, err)
	require.Len(t, leases, 1)

	require.NoError(t, c.Shutdown(ctx))
	require.True(t, node.shut)
}

func TestARefusalComesBackAsItWas(t *testing.T) {
	dir, node := t.TempDir(), newFakeNode()
	serve(t, dir, node)
	c := control.NewClient(dir)
	want := wire.Refuse(wire.OverPrice, "the cheapest asks 0.62/h").Near("raise the limit").After(time.Second)
	node.fail = errors.Join(errors.New("around it"), want)

	_, err := c.Plan(t.Context(), jobfile.Spec{})
	var got *wire.Refusal
	require.ErrorAs(t, err, &got)
	require.Equal(t, want, got)
	_, err = c.Watch(t.Context(), "job-1", 0)
	require.ErrorAs(t, err, &got)
	require.Equal(t, want, got)
	_, err = c.Bundle(t.Context(), "l")
	require.ErrorAs(t, err, &got)
	require.Equal(t, want, got)

	node.fail = errors.New("disk on fire")
	_, err = c.Jobs(t.Context())
	require.True(t, wire.IsCode(err, wire.Internal))
	require.ErrorContains(t, err, "disk on fire")

	_, err = c.Job(t.Context(), "x")
	require.True(t, wire.IsCode(err, wire.Unknown))
	require.ErrorContains(t, err, "there is job-1")
}

func TestAStreamBringsItsEventsAndEnds(t *testing.T) {
	dir, node := t.TempDir(), newFakeNode()
	serve(t, dir, node)
	events, err := control.NewClient(dir).Watch(t.Context(), "job-1", 42)
	require.NoError(t, err)
	zero := 0
	sent := []client.Event{
		{Kind: client.LogData, Job: "job-1", Data: make([]byte, 1<<20), Offset: 42},
		{Kind: client.Finished, Job: "job-1", Exit: &zero, Source: "job"},
	}
	go func() {
		for _, e := range sent {
			e.Data = bytes.Clone(e.Data) // which is the server's from now on
			node.events <- e
		}
		close(node.events)
	}()
	var got []client.Event
	for e := range events {
		got = append(got, e)
	}
	require.Equal(t, sent, got)
	require.Equal(t, uint64(42), node.offset)

	leases, err := control.NewClient(dir).LeaseEvents(t.Context())
	require.NoError(t, err)
	require.Equal(t, "leased", (<-leases).Kind)
	_, more := <-leases
	require.False(t, more)
}

func TestWhoGoesAwayEndsTheirStream(t *testing.T) {
	dir, node := t.TempDir(), newFakeNode()
	serve(t, dir, node)
	ctx, cancel := context.WithCancel(t.Context())
	events, err := control.NewClient(dir).Watch(ctx, "job-1", 0)
	require.NoError(t, err)
	served := <-node.watched
	require.NoError(t, served.Err())
	cancel()
	<-served.Done()
	require.Eventually(t, func() bool { _, open := <-events; return !open }, time.Minute, time.Millisecond)
}

func TestANodeThatEndsDoesNotFinishAStream(t *testing.T) {
	dir, node := t.TempDir(), newFakeNode()
	s, err := control.Serve(dir, node, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	events, err := control.NewClient(dir).Watch(t.Context(), "job-1", 0)
	require.NoError(t, err)
	<-node.watched
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	last := <-events
	require.Equal(t, client.Notice, last.Kind)
	require.Equal(t, string(control.NodeStopped), last.Code)
	require.NoError(t, <-closed)
	_, err = control.NewClient(dir).Status(t.Context())
	require.True(t, wire.IsCode(err, control.NotRunning))
	require.ErrorContains(t, err, "souk node up")
}

// A node that is killed leaves its half of the stream without a last line.
func TestACutStreamIsNotAnEnd(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "souk.sock"))
	require.NoError(t, err)
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"event\":{\"event\":\"state\"}}\n"))
	}()
	events, err := control.NewClient(dir).Watch(t.Context(), "job-1", 0)
	require.NoError(t, err)
	require.Equal(t, client.StateIs, (<-events).Kind)
	last := <-events
	require.Equal(t, client.Notice, last.Kind)
	require.Equal(t, string(control.NodeStopped), last.Code)
	<-done
}

func TestTheSocketIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, newFakeNode())
	info, err := os.Stat(filepath.Join(dir, "souk.sock"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = control.Serve(dir, newFakeNode(), slog.New(slog.DiscardHandler))
	require.True(t, wire.IsCode(err, "in_use"))
}

func TestASocketLeftByADeadProcessIsReplaced(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "souk.sock"), Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, err = control.NewClient(dir).Status(t.Context())
	require.True(t, wire.IsCode(err, control.NotRunning))
	serve(t, dir, newFakeNode())
	require.NoError(t, control.NewClient(dir).Ping(t.Context()))
}

func TestALongPathHasAShortSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 60), strings.Repeat("e", 60))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	s, err := control.Serve(dir, newFakeNode(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, control.NewClient(dir).Ping(t.Context()))
	path, err := os.ReadFile(filepath.Join(dir, "souk.sock.path"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoFileExists(t, string(path))
	require.NoDirExists(t, filepath.Dir(string(path)))
	require.NoFileExists(t, filepath.Join(dir, "souk.sock.path"))
}

func TestAQuestionThatIsTooLongOrStrangeIsRefused(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, newFakeNode())
	raw := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "souk.sock"))
	}}}
	for _, body := range []string{`{"unheard":1}`, `[`, `{"id":"` + strings.Repeat("x", 2<<20) + `"}`} {
		resp, err := raw.Post("http://souk/v1/job", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	resp, err := raw.Get("http://souk/v1/job")
	require.NoError(t, err)
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}
