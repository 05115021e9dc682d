package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/executor/wasm/control"
)

const (
	maxCache    = 4 << 30 // bytes of machine code kept
	maxEntries  = 1000    // modules kept
	verdictFile = "verdict.json"
	codeDir     = "code"
)

// compiled puts the machine code of a module into the folder dst of a box and
// gives back what the compiler said of it.
//
// The cache has one folder per module, written once by a compiling child that
// can write nothing else and moved into place by this process, and files are
// copied out of it: what ran for one owner can't change what another loads.
// What is not as it was written is compiled anew.
func (e *Executor) compiled(ctx context.Context, module cid.Cid, path, dst string) (control.Verdict, error) {
	entry := filepath.Join(e.cache(), module.String())
	verdict, err := e.copyOut(entry, dst)
	if errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) {
		if err := e.fillOnce(ctx, module.String(), path, entry); err != nil {
			return verdict, err
		}
		verdict, err = e.copyOut(entry, dst)
	}
	if err != nil {
		return verdict, fmt.Errorf("the compiled module could not be read: %w", err)
	}
	if verdict.Refused != "" {
		return verdict, refuse("%s", verdict.Refused)
	}
	return verdict, nil
}

// copyOut copies the machine code in a folder of the cache to dst, whole or not
// at all. The error is errDamaged or os.ErrNotExist where compiling would help.
func (e *Executor) copyOut(entry, dst string) (v control.Verdict, err error) {
	e.evicting.RLock()
	defer e.evicting.RUnlock()
	k, err := readKept(entry)
	if err != nil {
		return v, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dst))
		}
	}()
	if err := os.CopyFS(dst, os.DirFS(filepath.Join(entry, codeDir))); err != nil {
		return v, err
	}
	now := time.Now()
	_ = os.Chtimes(entry, now, now) // the longest unused go first
	return k.Verdict, k.check(dst)
}

// fillOnce compiles a module, also when several ask at once.
func (e *Executor) fillOnce(ctx context.Context, key, path, entry string) error {
	answer := e.compile.DoChan(key, func() (any, error) {
		if !e.begin() {
			return nil, errClosed
		}
		defer e.compiling.Done()
		if intact(entry) { // since the caller looked
			return nil, nil
		}
		// Others may wait for this one: it doesn't end with the first of them.
		ctx, cancel := e.compileContext()
		defer cancel()
		e.untidy.Store(true)
		return nil, e.fill(ctx, path, entry)
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-answer:
		return r.Err
	}
}

// compileContext lasts as long as compiling one module may.
func (e *Executor) compileContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.life, e.cfg.CompileTime)
}

// tidyAfter is how long the job whose module was compiled has the processor to itself.
const tidyAfter = 50 * time.Millisecond

// tidy does what a compiling leaves to be done: nobody waits for it, and it is
// to hold up nobody who does.
func (e *Executor) tidy(after time.Duration) {
	if !e.untidy.Swap(false) || !e.begin() {
		return
	}
	go func() {
		defer e.compiling.Done()
		select {
		case <-time.After(after):
		case <-e.life.Done():
			return
		}
		e.stock()
		if err := e.evict(maxCache, maxEntries); err != nil {
			e.cfg.Log.Warn("old compiled modules were not removed", "error", err)
		}
	}()
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

// fill compiles the module at path into the cache folder entry. The compiler
// ends meanwhile.
func (e *Executor) fill(ctx context.Context, path, entry string) error {
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c, verdict, err := e.translate(ctx, module)
	if err != nil {
		return err
	}
	e.compiling.Add(1) // while the caller's counts
	defer func() {
		go func() {
			defer e.compiling.Done()
			c.end()
		}()
	}()
	k := kept{Verdict: verdict}
	if k.Sum, err = sumOf(k.Verdict, filepath.Join(c.dir, codeDir)); err != nil {
		return err
	}
	if err := control.Put(c.dir, verdictFile, k); err != nil {
		return err
	}
	if err := os.RemoveAll(entry); err != nil { // one that is damaged
		return err
	}
	return os.Rename(c.dir, entry)
}
