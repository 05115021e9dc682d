//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"souk/node/executor/wasm/control"
)

// compile translates one module into an empty folder, its argument, and says
// whether it is one that can run. No guest code runs here. It may have to wait for its
// order, and does before what any module needs.
func compile() error {
	if len(os.Args) < 3 {
		return errors.New("name the folder to compile into")
	}
	cache := os.Args[2]
	wasi, err := systemCalls(context.Background())
	if err != nil {
		return err
	}
	if err := shutInCompiler(cache); err != nil {
		return err
	}
	orders := bufio.NewReader(os.Stdin)
	raw, err := ordered(orders)
	if err != nil {
		return err
	}
	go func() { // the node holds stdin open as long as it wants the answer
		_, _ = io.Copy(io.Discard, orders)
		os.Exit(1)
	}()
	ctx := experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
	verdict, err := translate(ctx, raw, cache, wasi)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(verdict)
}

// ordered reads an order and the module that comes with it.
func ordered(from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var order control.Compile
	if err := json.Unmarshal(line, &order); err != nil {
		return nil, err
	}
	raw := make([]byte, order.Bytes)
	_, err = io.ReadFull(from, raw)
	return raw, err
}

type functions = map[string]api.FunctionDefinition

// systemCalls are what modules may import. To compile them also brings the
// compiler's code into memory.
func systemCalls(ctx context.Context) (functions, error) {
	wasi, err := wasi_snapshot_preview1.NewBuilder(wazero.NewRuntime(ctx)).Compile(ctx)
	if err != nil {
		return nil, err
	}
	return wasi.ExportedFunctions(), nil
}

func translate(ctx context.Context, raw []byte, cacheDir string, wasi functions) (control.Verdict, error) {
	config, err := runtimeConfig(cacheDir)
	if err != nil {
		return control.Verdict{}, err
	}
	module, err := wazero.NewRuntimeWithConfig(ctx, config).CompileModule(ctx, raw)
	if err != nil {
		return control.Verdict{Refused: "the module is not valid WebAssembly: " + firstLine(err)}, nil
	}
	verdict := control.Verdict{Refused: refusal(raw, module, wasi)}
	for _, m := range module.ExportedMemories() {
		verdict.MinMemory = max(verdict.MinMemory, int64(m.Min())*pageSize)
	}
	return verdict, nil
}

// refusal says why a valid module can't be run as a program, or nothing.
func refusal(raw []byte, module wazero.CompiledModule, wasi functions) string {
	start, ok := module.ExportedFunctions()["_start"]
	if !ok {
		return `the module exports no function "_start"; build it as a WASI preview 1 command (with Go: GOOS=wasip1 GOARCH=wasm)`
	}
	if len(start.ParamTypes())+len(start.ResultTypes()) > 0 {
		return `the module's "_start" takes or returns values; that of a WASI command takes and returns none`
	}
	for _, f := range module.ImportedFunctions() {
		from, name, _ := f.Import()
		has, ok := wasi[name]
		if from != wasi_snapshot_preview1.ModuleName || !ok {
			return fmt.Sprintf("the module imports the function %.100q from %.100q, which does not exist here; only wasi_snapshot_preview1 is there", name, from)
		}
		if !slices.Equal(f.ParamTypes(), has.ParamTypes()) || !slices.Equal(f.ResultTypes(), has.ResultTypes()) {
			return fmt.Sprintf("the module imports %.100q with other parameters or results than wasi_snapshot_preview1 has", name)
		}
	}
	if kind := foreignImport(raw); kind != "" {
		return fmt.Sprintf("the module imports a %s; only functions of wasi_snapshot_preview1 can be imported", kind)
	}
	return ""
}
