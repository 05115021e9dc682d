package egress

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// helperBinary is souk-egress as scripts/build makes it.
var helperBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "souk-egress-test")
	if err == nil {
		helperBinary = filepath.Join(dir, "souk-egress")
		build := exec.Command("go", "build", "-o", helperBinary, "souk/cmd/souk-egress")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building souk-egress:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}
