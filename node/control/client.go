package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
	"souk/protocol/wire"
)

// Client talks to the node of a data directory. It is a Backend, whose errors
// are *wire.Refusal with the codes of the node, or NotRunning or NodeStopped.
type Client struct {
	dataDir string
	http    *http.Client
}

var _ Backend = (*Client)(nil)

// NewClient makes a client. It talks to nobody yet.
func NewClient(dataDir string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, dataDir)
		},
		DisableKeepAlives: true, // nothing stays open between two questions
	}
	return &Client{dataDir: dataDir, http: &http.Client{Transport: transport}}
}

// Ping tells whether a node answers: nil, or why not.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err := c.Status(ctx)
	return err
}

// Status is how the node stands.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, pathStatus, nothing{})
}

// Doctor asks the node what is wrong.
func (c *Client) Doctor(ctx context.Context) ([]Check, error) {
	return ask[[]Check](ctx, c, pathDoctor, nothing{})
}

// Shutdown asks the node to end.
func (c *Client) Shutdown(ctx context.Context) error {
	_, err := ask[nothing](ctx, c, pathShutdown, nothing{})
	return err
}

// Offers looks for providers.
func (c *Client) Offers(ctx context.Context, need Need) ([]client.Candidate, error) {
	return ask[[]client.Candidate](ctx, c, pathOffers, need)
}

// Plan asks providers for quotes.
func (c *Client) Plan(ctx context.Context, spec jobfile.Spec) (client.Plan, error) {
	return ask[client.Plan](ctx, c, pathPlan, spec)
}

// Submit places a job.
func (c *Client) Submit(ctx context.Context, spec jobfile.Spec, planID string) (string, error) {
	return ask[string](ctx, c, pathSubmit, submission{Spec: spec, Plan: planID})
}

// Jobs lists the jobs.
func (c *Client) Jobs(ctx context.Context) ([]JobInfo, error) {
	return ask[[]JobInfo](ctx, c, pathJobs, nothing{})
}

// Job is one job.
func (c *Client) Job(ctx context.Context, id string) (JobInfo, error) {
	return ask[JobInfo](ctx, c, pathJob, ref{ID: id})
}

// Watch follows a job. A stream that breaks off ends with an event that is no
// client.Finished: a client.Notice with the refusal's code.
func (c *Client) Watch(ctx context.Context, id string, logOffset uint64) (<-chan client.Event, error) {
	return follow(ctx, c, pathWatch, ref{ID: id, Offset: logOffset}, func(r *refusal) client.Event {
		return client.Event{Kind: client.Notice, Job: id, Code: string(r.Code), Text: r.Sentence}
	})
}

// Cancel ends a job.
func (c *Client) Cancel(ctx context.Context, id string) error {
	_, err := ask[nothing](ctx, c, pathCancel, ref{ID: id})
	return err
}

// Outputs writes a job's outputs into dir, an absolute path.
func (c *Client) Outputs(ctx context.Context, id, dir string) error {
	_, err := ask[nothing](ctx, c, pathOutputs, ref{ID: id, Dir: dir})
	return err
}

// Receipts lists every lease's newest receipt.
func (c *Client) Receipts(ctx context.Context) ([]ReceiptInfo, error) {
	return ask[[]ReceiptInfo](ctx, c, pathReceipts, nothing{})
}

// Bundle is everything about one lease.
func (c *Client) Bundle(ctx context.Context, lease string) (market.Bundle, error) {
	body, err := c.post(ctx, pathBundle, ref{ID: lease})
	if err != nil {
		return market.Bundle{}, err
	}
	defer body.Close()
	return receiptfile.Read(body)
}

// Disputes lists what providers demand and the node hasn't countersigned.
func (c *Client) Disputes(ctx context.Context) ([]DisputeInfo, error) {
	return ask[[]DisputeInfo](ctx, c, pathDisputes, nothing{})
}

// PayDisputed pays what is in dispute over a lease, if it is no more than most.
func (c *Client) PayDisputed(ctx context.Context, lease string, most market.Amount) error {
	_, err := ask[nothing](ctx, c, pathPay, payment{Lease: lease, Most: most})
	return err
}

// LeaveDisputed notes that what is in dispute over a lease won't be paid.
func (c *Client) LeaveDisputed(ctx context.Context, lease string) error {
	_, err := ask[nothing](ctx, c, pathLeave, ref{ID: lease})
	return err
}

// Leases lists the leases that the node gave as a provider.
func (c *Client) Leases(ctx context.Context) ([]LeaseInfo, error) {
	return ask[[]LeaseInfo](ctx, c, pathLeases, nothing{})
}

// LeaseEvents follows what happens to a provider. A stream that breaks off
// ends with an event of the kind "trouble".
func (c *Client) LeaseEvents(ctx context.Context) (<-chan LeaseEvent, error) {
	return follow(ctx, c, pathLeaseEvents, nothing{}, func(r *refusal) LeaseEvent {
		return LeaseEvent{Kind: "trouble", Text: r.Sentence}
	})
}

func ask[Out any](ctx context.Context, c *Client, path string, in any) (out Out, err error) {
	body, err := c.post(ctx, path, in)
	if err != nil {
		return out, err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&out); err != nil {
		return out, c.broken(ctx, err)
	}
	return out, nil
}

// follow gives the events of a stream. One goroutine reads it, and ends with
// the stream or with ctx.
func follow[E any](ctx context.Context, c *Client, path string, in any, broken func(*refusal) E) (<-chan E, error) {
	body, err := c.post(ctx, path, in)
	if err != nil {
		return nil, err
	}
	events := make(chan E)
	go func() {
		defer close(events)
		defer body.Close()
		send := func(e E) bool {
			select {
			case events <- e:
				return true
			case <-ctx.Done():
				return false
			}
		}
		in := bufio.NewReaderSize(body, 64<<10)
		for {
			l, err := readLine[E](in)
			switch {
			case errors.Is(err, errStrange):
				send(broken(&refusal{Code: wire.Internal, Sentence: err.Error()}))
				return
			case err != nil:
				send(broken(refusalOf(c.broken(ctx, err))))
				return
			case l.End:
				return
			case l.Error != nil:
				send(broken(l.Error))
				return
			case l.Event != nil && !send(*l.Event):
				return
			}
		}
	}()
	return events, nil
}

// post asks one question and gives the answer's body, which the caller closes.
func (c *Client) post(ctx context.Context, path string, in any) (io.ReadCloser, error) {
	question, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://souk"+path, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var r refusal
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&r); err != nil || resp.StatusCode != refusedStatus {
		return nil, wire.Refuse(wire.Internal, "the process on the socket of %s is no souk node of this version: it answered %s", c.dataDir, resp.Status)
	}
	return nil, r.err()
}

// broken says why a node that was asked gave no whole answer.
func (c *Client) broken(ctx context.Context, err error) error {
	var r *wire.Refusal
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &r):
		return r
	}
	return wire.Refuse(NodeStopped, "the node of %s stopped before it had answered", c.dataDir).
		Near("its log is %s; `souk node up` starts it again", LogPath(c.dataDir))
}
