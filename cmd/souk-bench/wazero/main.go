// Command souk-bench-wazero runs a WASM module in wazero, with WASI and nothing
// else: no limits, no cache, no sandbox. It is what souk's executor is measured
// beside, and prints what it took in nanoseconds:
//
//	souk-bench-wazero MODULE.wasm ARG...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "souk-bench-wazero:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("name a module")
	}
	module, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	runtime := wazero.NewRuntime(ctx)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, runtime); err != nil {
		return err
	}
	began := time.Now()
	compiled, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return err
	}
	compiledAt := time.Now()
	_, err = runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithArgs(args...).WithSysNanotime().WithSysWalltime())
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 0 {
		err = nil
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]time.Duration{"Compiled": compiledAt.Sub(began), "Ran": time.Since(compiledAt)})
}
