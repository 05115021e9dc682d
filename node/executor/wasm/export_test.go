package wasm

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
