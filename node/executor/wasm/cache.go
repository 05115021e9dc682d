package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/executor/wasm/control"
)

const (
	compileTime = 60 * time.Second // unless Config says otherwise
	maxVerdict  = 64 << 10         // bytes of a compiling child's answer
	maxCache    = 4 << 30          // bytes of machine code kept
	maxEntries  = 1000             // modules kept
	verdictFile = "verdict.json"
	codeDir     = "code"
	crashed     = 2 // the exit code of a Go program that ran out of memory or panicked
)

// compiled puts the machine code of a module into the folder dst of a box and
// gives back what the compiler said of it.
//
// The cache has one folder per module, written once by a compiling child that
// can write nothing else and moved into place by this process, and files are
// copied out of it: what ran for one owner can't change what another loads.
func (e *Executor) compiled(ctx context.Context, module cid.Cid, path, dst string) (verdict control.Verdict, err error) {
	entry := filepath.Join(e.cache(), module.String())
	if !filled(entry) {
		if err := e.fillOnce(ctx, module.String(), path, entry); err != nil {
			return verdict, err
		}
	}
	e.evicting.RLock()
	defer e.evicting.RUnlock()
	if err := control.Read(entry, verdictFile, &verdict); err != nil {
		return verdict, fmt.Errorf("the compiled module could not be read: %w", err)
	}
	if verdict.Refused != "" {
		return verdict, refuse("%s", verdict.Refused)
	}
	now := time.Now()
	_ = os.Chtimes(entry, now, now) // the longest unused go first
	return verdict, os.CopyFS(dst, os.DirFS(filepath.Join(entry, codeDir)))
}

// filled tells whether a module was compiled before.
func filled(entry string) bool {
	_, err := os.Stat(filepath.Join(entry, verdictFile))
	return err == nil
}

// fillOnce compiles a module, also when several ask at once.
func (e *Executor) fillOnce(ctx context.Context, key, path, entry string) error {
	answer := e.compile.DoChan(key, func() (any, error) {
		if !e.begin() {
			return nil, errClosed
		}
		defer e.compiling.Done()
		if filled(entry) { // since the caller looked
			return nil, nil
		}
		// Others may wait for this one: it doesn't end with the first of them.
		ctx, cancel := context.WithTimeout(e.life, e.cfg.CompileTime)
		defer cancel()
		return nil, e.fill(ctx, path, entry)
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-answer:
		if r.Err != nil {
			return r.Err
		}
		return e.evict(maxCache, maxEntries)
	}
}

// fingerprint names what machine code depends on: the sandbox's build and the processor.
func fingerprint(sandbox string) (string, error) {
	f, err := os.Open(sandbox)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	cpu, _ := os.ReadFile("/proc/cpuinfo") // where there is none, the build alone tells
	for line := range strings.Lines(string(cpu)) {
		if name, _, _ := strings.Cut(line, ":"); slices.Contains([]string{"flags", "Features", "model name"}, strings.TrimSpace(name)) {
			h.Write([]byte(line))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// fill compiles the module at path into the cache folder entry.
func (e *Executor) fill(ctx context.Context, path, entry string) error {
	aside, err := os.MkdirTemp(e.waste(), "compile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	code := filepath.Join(aside, codeDir)
	if err := os.Mkdir(code, 0o700); err != nil {
		return err
	}
	verdict, err := e.translate(ctx, path, code)
	if err != nil {
		return err
	}
	if err := control.Write(aside, verdictFile, verdict); err != nil {
		return err
	}
	if err := os.RemoveAll(entry); err != nil { // one that a crash left half removed
		return err
	}
	return os.Rename(aside, entry)
}

// translate runs a compiling child.
func (e *Executor) translate(ctx context.Context, path, code string) (v control.Verdict, err error) {
	cmd := exec.CommandContext(ctx, e.sandbox, "compile")
	cmd.Env = []string{"GOMAXPROCS=1", "GOMEMLIMIT=1GiB", "GOTRACEBACK=none"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return v, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{w: &stdout, left: maxVerdict}, &limited{w: &stderr, left: maxVerdict}
	if err := cmd.Start(); err != nil {
		return v, fmt.Errorf("the sandbox could not be started: %w", err)
	}
	_ = json.NewEncoder(stdin).Encode(control.Compile{Module: path, Cache: code})
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return v, json.Unmarshal(stdout.Bytes(), &v)
	case !errors.As(err, &exit):
		return v, err
	case errors.Is(ctx.Err(), context.Canceled):
		return v, errClosed
	case ctx.Err() != nil || exit.ExitCode() < 0 || exit.ExitCode() == crashed:
		return v, refuse("the module can't be compiled in %d s and the memory that a sandbox has; make it smaller or its functions shorter", int(e.cfg.CompileTime.Seconds()))
	default:
		line, _, _ := strings.Cut(stderr.String(), "\n")
		return v, fmt.Errorf("the module could not be compiled: %.300s", line)
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
