package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"charm.land/fang/v2"

	"souk/node/client"
	"souk/node/config"
	"souk/node/jobfile"
	"souk/protocol/wire"
)

// The exit codes that are souk's own.
const (
	exitFault     = 1 // a check found something wrong
	exitDeclined  = 1 // a job that was asked about is not to be run
	exitUsage     = 2
	exitSouk      = client.ExitSouk
	exitInterrupt = client.ExitCancelled // Ctrl-C, or the job was cancelled
	exitMost      = 255
)

var errInterrupted = errors.New("interrupted")

// exit ends souk with a code after everything was said.
type exit struct{ code int }

func (e *exit) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// fail gives err a code, unless it has one.
func fail(code wire.Code, err error) error {
	var r *wire.Refusal
	var c *coded
	if errors.As(err, &r) || errors.As(err, &c) {
		return err
	}
	return &coded{code, err}
}

// coded is an error of this process with a code.
type coded struct {
	code wire.Code
	error
}

func (e *coded) Unwrap() error { return e.error }

// jobExit is a job's code as a process can have it: what doesn't fit a byte
// must not become 0.
func jobExit(code int) int {
	if code < 0 || code > exitMost {
		return exitMost
	}
	return code
}

func exitCode(err error) int {
	var ended *exit
	var bad *usageError
	var job *jobfile.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return ended.code
	case errors.As(err, &bad), errors.As(err, &job):
		return exitUsage
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupt
	}
	return exitSouk
}

// codeOf is the code that --json names.
func codeOf(err error) wire.Code {
	var r *wire.Refusal
	var c *coded
	var bad *config.Error
	switch {
	case errors.As(err, &r):
		return r.Code
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &bad):
		return "bad_config"
	}
	switch exitCode(err) {
	case exitUsage:
		return "usage"
	case exitInterrupt:
		return client.Cancelled
	}
	return wire.Internal
}

// showError says what went wrong, once.
func (a *app) showError(w io.Writer, styles fang.Styles, err error) {
	var ended *exit
	if errors.As(err, &ended) {
		return
	}
	if a.json {
		code := exitCode(err)
		_ = json.NewEncoder(a.out).Encode(client.Event{
			Kind: client.Finished, At: time.Now(), Exit: &code, Source: "souk", Code: string(codeOf(err)), Text: err.Error(),
		})
		return
	}
	if isTerminal(a.err) {
		_, _ = fmt.Fprintln(w, styles.ErrorHeader.String())
		_, _ = fmt.Fprintln(w, "  "+err.Error())
		return
	}
	_, _ = fmt.Fprintln(w, "souk:", err)
}
