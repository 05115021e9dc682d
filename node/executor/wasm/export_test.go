package wasm

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
)

// KillSpareCompiler waits for the compiler that waits, and ends it.
func (e *Executor) KillSpareCompiler() error {
	c := <-e.spare
	defer func() { e.spare <- c }()
	if err := c.cmd.Process.Kill(); err != nil {
		return err
	}
	_, err := c.cmd.Process.Wait()
	return err
}

// KillCompilerOnceOrdered has the compiler that waits end once it has its order
// and the module, before it reads them. killed tells that it did.
func (e *Executor) KillCompilerOnceOrdered() (killed func() bool, err error) {
	c := <-e.spare
	defer func() { e.spare <- c }()
	k := &killing{WriteCloser: c.orders, process: c.cmd.Process}
	c.orders = k
	return k.killed.Load, c.cmd.Process.Signal(syscall.SIGSTOP)
}

// killing kills a compiler after the module, which is what is written after the order.
type killing struct {
	io.WriteCloser
	process *os.Process
	ordered bool
	killed  atomic.Bool
}

func (k *killing) Write(p []byte) (int, error) {
	n, err := k.WriteCloser.Write(p)
	if k.ordered && err == nil {
		err = k.process.Kill()
		k.killed.Store(true)
	}
	k.ordered = true
	return n, err
}

// StopSpareCompiler waits for the compiler that waits, and has it do nothing more.
func (e *Executor) StopSpareCompiler() error {
	c := <-e.spare
	defer func() { e.spare <- c }()
	return c.cmd.Process.Signal(syscall.SIGSTOP)
}
