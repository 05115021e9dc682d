package wasm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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

// compiler is a child that waits for one module, compiles it, and ends. It is
// shut in, with the folder that it may write to, before it knows of any module.
type compiler struct {
	cmd    *exec.Cmd
	dir    string // in which codeDir is that folder; whoever has the compiler removes it
	orders io.WriteCloser
	says   *bufio.Reader
	stderr bytes.Buffer // to be read when it ended
}

// startCompiler starts one. It ends with the executor, and when this process does.
func (e *Executor) startCompiler() (*compiler, error) {
	dir, err := os.MkdirTemp(e.waste(), "compile-")
	if err != nil {
		return nil, err
	}
	code := filepath.Join(dir, codeDir)
	c := &compiler{cmd: exec.CommandContext(e.life, e.sandbox, "compile", code), dir: dir}
	c.cmd.Env = []string{fmt.Sprintf("GOMAXPROCS=%d", min(runtime.NumCPU(), mostWorkers)), "GOGC=400", "GOMEMLIMIT=1GiB", "GOTRACEBACK=none"}
	c.cmd.Stderr = &limited{w: &c.stderr, left: maxVerdict}
	var errs [3]error
	errs[0] = os.Mkdir(code, 0o700)
	c.orders, errs[1] = c.cmd.StdinPipe()
	says, err := c.cmd.StdoutPipe()
	errs[2] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c.says = bufio.NewReader(io.LimitReader(says, maxVerdict))
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("the sandbox could not be started: %w", err), os.RemoveAll(dir))
	}
	return c, nil
}

// order tells it what to do, until ctx ends it; the error says that it is not there any more.
func (c *compiler) order(ctx context.Context, module []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	defer stop()
	err := json.NewEncoder(c.orders).Encode(control.Compile{Bytes: len(module)})
	if err == nil {
		_, err = c.orders.Write(module)
	}
	return err
}

// end ends it, whatever it does, and removes what it left where that is still there.
func (c *compiler) end() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	_ = os.RemoveAll(c.dir) // waste goes with the next start at the latest
}

// errKilled is a compiler that somebody else ended: the kernel, for want of memory
// that its module or another process took, or a person.
var errKilled = errors.New("the compiler was killed")

func tooMuch(longest time.Duration) error {
	return refuse("the module can't be compiled in %d s and the memory that a sandbox has; make it smaller or its functions shorter", int(longest.Seconds()))
}

// answer waits for what it found; ctx ends it sooner. Its end isn't waited for:
// what it should write afterwards would fail the checksum.
func (c *compiler) answer(ctx context.Context, longest time.Duration) (v control.Verdict, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	defer stop()
	if line, err := c.says.ReadBytes('\n'); err == nil {
		return v, json.Unmarshal(line, &v)
	}
	err = c.cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		return v, err
	case errors.Is(ctx.Err(), context.Canceled):
		return v, errClosed
	case ctx.Err() == nil && exit != nil && exit.ExitCode() < 0:
		return v, errKilled
	case ctx.Err() != nil || exit != nil && exit.ExitCode() == crashed:
		return v, tooMuch(longest)
	default:
		line, _, _ := strings.Cut(c.stderr.String(), "\n")
		return v, fmt.Errorf("the module could not be compiled: %.300s", line)
	}
}

// translate has a module compiled. Where the compiler is killed a fresh one tries
// again, and only then it is the module's fault. The compiler that answered has the
// machine code, and is to be ended.
func (e *Executor) translate(ctx context.Context, module []byte) (c *compiler, v control.Verdict, err error) {
	order := e.compilerFor
	for range 2 {
		if c, err = order(ctx, module); err != nil {
			return nil, v, err
		}
		if v, err = c.answer(ctx, e.cfg.CompileTime); err == nil {
			return c, v, nil
		}
		c.end()
		if !errors.Is(err, errKilled) {
			return nil, v, err
		}
		e.cfg.Log.Warn("a compiler was killed in the middle of its work")
		order = e.freshCompilerFor
	}
	return nil, v, tooMuch(e.cfg.CompileTime)
}

// compilerFor gives the compiler that waits, or a fresh one, with the order to
// compile. One that waits may have been killed meanwhile.
func (e *Executor) compilerFor(ctx context.Context, module []byte) (*compiler, error) {
	select {
	case c := <-e.spare:
		if c.order(ctx, module) == nil {
			return c, nil
		}
		if c.end(); ctx.Err() != nil {
			return nil, fmt.Errorf("the sandbox does not answer: %w", ctx.Err())
		}
	default:
	}
	return e.freshCompilerFor(ctx, module)
}

func (e *Executor) freshCompilerFor(ctx context.Context, module []byte) (*compiler, error) {
	c, err := e.startCompiler()
	if err != nil {
		return nil, err
	}
	if err := c.order(ctx, module); err != nil {
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
	c, err := e.startCompiler()
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
