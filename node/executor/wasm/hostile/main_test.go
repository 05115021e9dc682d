// Package hostile_test gives the wasm executor modules that mean harm: each must
// end as it should, name the limit that it hit, leave nothing outside its
// folder, and disturb nobody.
package hostile_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// sandbox is the path of the binary that runs jobs, made once for all tests.
var sandbox string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "souk-hostile-wasm-")
	if err == nil {
		sandbox = filepath.Join(dir, "souk-sandbox")
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", sandbox, "souk/cmd/souk-sandbox")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
