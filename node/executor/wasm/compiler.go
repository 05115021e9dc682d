package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"souk/node/executor/wasm/control"
)

const (
	compileTime = 60 * time.Second // unless Config says otherwise
	maxVerdict  = 64 << 10         // bytes of a compiling child's answer
	mostWorkers = 4                // threads of one
	crashed     = 2                // the exit code of a Go program that ran out of memory or panicked
)

// compiler is a child that waits for one module, compiles it, and ends.
type compiler struct {
	cmd            *exec.Cmd
	orders         io.WriteCloser
	stdout, stderr bytes.Buffer // to be read when it ended
}

// startCompiler starts one. It ends with life, and when this process does.
func startCompiler(life context.Context, sandbox string) (*compiler, error) {
	c := &compiler{cmd: exec.CommandContext(life, sandbox, "compile")}
	c.cmd.Env = []string{fmt.Sprintf("GOMAXPROCS=%d", min(runtime.NumCPU(), mostWorkers)), "GOGC=400", "GOMEMLIMIT=1GiB", "GOTRACEBACK=none"}
	c.cmd.Stdout, c.cmd.Stderr = &limited{w: &c.stdout, left: maxVerdict}, &limited{w: &c.stderr, left: maxVerdict}
	var err error
	if c.orders, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the sandbox could not be started: %w", err)
	}
	return c, nil
}

// order tells it what to do; the error says that it is not there any more.
func (c *compiler) order(path, code string) error {
	return json.NewEncoder(c.orders).Encode(control.Compile{Module: path, Cache: code})
}

// end ends one whose answer nobody wants.
func (c *compiler) end() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// answer waits for what it found, and for its end; ctx ends it sooner.
func (c *compiler) answer(ctx context.Context, longest time.Duration) (v control.Verdict, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	defer stop()
	err = c.cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return v, json.Unmarshal(c.stdout.Bytes(), &v)
	case !errors.As(err, &exit):
		return v, err
	case errors.Is(ctx.Err(), context.Canceled):
		return v, errClosed
	case ctx.Err() != nil || exit.ExitCode() < 0 || exit.ExitCode() == crashed:
		return v, refuse("the module can't be compiled in %d s and the memory that a sandbox has; make it smaller or its functions shorter", int(longest.Seconds()))
	default:
		line, _, _ := strings.Cut(c.stderr.String(), "\n")
		return v, fmt.Errorf("the module could not be compiled: %.300s", line)
	}
}

// compilerFor gives the compiler that waits, or starts one, and orders it to
// compile. One that waits may have been killed meanwhile.
func (e *Executor) compilerFor(path, code string) (*compiler, error) {
	select {
	case c := <-e.spare:
		if c.order(path, code) == nil {
			return c, nil
		}
		c.end()
	default:
	}
	c, err := startCompiler(e.life, e.sandbox)
	if err != nil {
		return nil, err
	}
	if err := c.order(path, code); err != nil {
		c.end()
		return nil, fmt.Errorf("the sandbox does not answer: %w", err)
	}
	return c, nil
}

// stock starts a compiler that waits, unless one does or none should.
func (e *Executor) stock() {
	if len(e.spare) == cap(e.spare) {
		return
	}
	c, err := startCompiler(e.life, e.sandbox)
	if err != nil {
		if e.life.Err() == nil {
			e.cfg.Log.Warn("no spare compiler", "error", err)
		}
		return
	}
	select {
	case e.spare <- c:
	default:
		c.end()
	}
}

// unstock ends the compiler that waits. Nothing stocks any more.
func (e *Executor) unstock() {
	select {
	case c := <-e.spare:
		c.end()
	default:
	}
}

// limited writes at most left bytes and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
