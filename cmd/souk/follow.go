package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"souk/node/client"
	"souk/node/control"
	"souk/protocol/wire"
)

// outputsTo says where a job's outputs go once it is done.
type outputsTo struct {
	dir     string // empty: NAME-ID in the working directory
	name    string
	wanted  bool
	nowhere string // how a job gets a folder that could write nowhere, else empty
}

const cancelLimit = 20 * time.Second // for the node to take a cancellation

// follow shows a job until it is done, fetches its outputs and ends with its
// exit code. shown is a plan that needn't be shown again. The first Ctrl-C cancels the job, the second leaves at once.
func (a *app) follow(n control.Backend, id, shown string, to outputsTo) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := n.Watch(ctx, id, 0)
	if err != nil {
		return err
	}
	show := a.presenter()
	defer show.close()
	interrupted := false
	for {
		select {
		case <-a.signals:
			if interrupted {
				return &exit{exitInterrupt}
			}
			interrupted = true
			show.note("cancelling; what was paid for is still fetched; Ctrl-C again leaves at once")
			if err := cancelJob(ctx, n, id); err != nil {
				show.note(fmt.Sprintf("the job could not be cancelled: %v", err))
			}
		case e, ok := <-events:
			switch {
			case !ok:
				return wire.Refuse(control.NodeStopped, "the stream of job %s ended before the job", id).Near("`souk attach %s` picks it up", id)
			case e.Kind == client.Notice && e.Code == string(control.NodeStopped):
				return wire.Refuse(control.NodeStopped, "%s", e.Text).Near("`souk attach %s` picks the job up", id)
			case e.Kind == client.Finished:
				return a.finish(ctx, n, e, to, show, interrupted)
			case e.Kind == client.Considered && e.Plan != nil && e.Plan.ID == shown && shown != "":
				continue
			}
			if err := show.event(e); err != nil {
				return err
			}
		}
	}
}

func cancelJob(ctx context.Context, n control.Backend, id string) error {
	ctx, cancel := context.WithTimeout(ctx, cancelLimit)
	defer cancel()
	return n.Cancel(ctx, id)
}

// finish fetches what there is, says how it went and gives the exit code.
func (a *app) finish(ctx context.Context, n control.Backend, e client.Event, to outputsTo, show presenter, interrupted bool) error {
	if to.wanted && e.Outputs != "" {
		dir, err := a.fetch(ctx, n, e.Job, to)
		switch {
		case errors.Is(err, errInterrupted):
			interrupted = true
		case err != nil:
			failed := exitSouk
			e.Exit, e.Source, e.Code, e.Text = &failed, "souk", string(codeOf(err)), fmt.Sprintf("the outputs could not be fetched: %v; try `souk outputs %s -o DIR`", err, e.Job)
		default:
			show.outputs(e.Job, dir)
		}
	}
	code := exitSouk
	if e.Source == "job" && e.Exit != nil {
		code = jobExit(*e.Exit)
	}
	if interrupted || e.Source == client.SourceSouk && e.Code == string(client.Cancelled) {
		code = exitInterrupt
		e.Exit, e.Source = &code, "souk"
	}
	if err := show.event(e); err != nil {
		return err
	}
	if code == 0 {
		return nil
	}
	if e.Source == "job" && to.nowhere != "" {
		show.hint("the job names no outputs folder, so nothing could be written; `" + to.nowhere + "` gives it one")
	}
	return &exit{code}
}

// fetch writes the outputs; Ctrl-C leaves.
func (a *app) fetch(ctx context.Context, n control.Backend, id string, to outputsTo) (string, error) {
	ctx, stop := a.interruptible(ctx)
	defer stop()
	dir := to.dir
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(wd, to.name+"-"+id)
		if _, err := os.Stat(dir); err == nil {
			return dir, nil // named after the job: an earlier command has fetched them
		}
	}
	err := n.Outputs(ctx, id, dir)
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return dir, err
}
