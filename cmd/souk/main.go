// Command souk is a peer-to-peer market for GPU time: it runs providers,
// finds them, leases from them and keeps the books. Every command but those
// that run a node is a thin client of the node that holds the data directory.
//
// Its files are one per command and hold no logic but how things are shown.
// It exits with a job's own code; 125 where souk failed, with a code in
// --json; 2 for bad usage; 130 after Ctrl-C and for a job that was cancelled; 1 where a check found a fault.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"

	"souk/internal/fastkey"
	"souk/internal/garbage"
	"souk/node"
)

func main() {
	fastkey.Install()
	garbage.Pace()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		environ: os.Environ(), signals: signals,
	}
	a.open, a.held = a.openNode, node.Held
	os.Exit(a.main(os.Args[1:]))
}

// main runs one command line and gives its exit code.
func (a *app) main(args []string) int {
	root := a.root()
	root.SetArgs(heard(args))
	err := fang.Execute(context.Background(), root,
		fang.WithErrorHandler(a.showError), fang.WithVersion(version), fang.WithCommit(commit()), fang.WithoutManpage())
	return exitCode(err)
}
