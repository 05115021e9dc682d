package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"souk/node/testnet"
)

// scratchName is how the folders of benches begin; the number of the process follows.
const scratchName = "souk-bench-"

// scratch makes a folder, and gives what removes it again.
func scratch() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", scratchName, os.Getpid()))
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// scratchTestnet is where a testnet is in a folder of a bench.
func scratchTestnet(dir string) string { return filepath.Join(dir, "testnet") }

// sweep removes what benches of this user left that were killed, and says so.
func sweep(ctx context.Context, progress io.Writer) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchName+"*")) // the pattern is a good one
	for _, dir := range dirs {
		if !isLeft(dir) {
			continue
		}
		err := testnet.Down(ctx, scratchTestnet(dir))
		if err == nil || errors.Is(err, testnet.ErrNone) {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			fmt.Fprintf(progress, "%s, which a bench left that was killed, can't be removed: %v\n", dir, err)
			continue
		}
		fmt.Fprintf(progress, "removed %s, which a bench left that was killed\n", dir)
	}
}

// isLeft tells whether a folder is one of this user whose bench is gone.
func isLeft(dir string) bool {
	number, _, ok := strings.Cut(strings.TrimPrefix(filepath.Base(dir), scratchName), "-")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil || pid <= 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
