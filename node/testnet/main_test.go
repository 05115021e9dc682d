package testnet_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// built are the programs that the tests run, built once and without the race
// detector, so that they are as fast as users have them.
var built struct{ dir, sandbox, souk, hostile, hello, worker string }

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "souk-testnet-test")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built.dir = dir
	var g errgroup.Group
	g.Go(func() (err error) {
		built.sandbox, err = build("souk-sandbox", "../../cmd/souk-sandbox", "CGO_ENABLED=0")
		return err
	})
	g.Go(func() (err error) { built.souk, err = build("souk", "../../cmd/souk"); return err })
	g.Go(func() (err error) { built.hostile, err = build("souk-hostile", "../../cmd/souk-hostile"); return err })
	g.Go(func() (err error) {
		built.hello, err = build("hello.wasm", "../../examples/hello", "GOOS=wasip1", "GOARCH=wasm")
		return err
	})
	g.Go(func() (err error) {
		built.worker, err = build("worker.wasm", "./testdata/worker", "GOOS=wasip1", "GOARCH=wasm")
		return err
	})
	if err := g.Wait(); err != nil {
		panic(err)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait most of the time
		panic(err)
	}
	code := m.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "processes that outlived the tests: %v\n", left)
		return max(code, 1)
	}
	return code
}

func build(name, pkg string, env ...string) (string, error) {
	path := filepath.Join(built.dir, name)
	cmd := exec.Command("go", "build", "-o", path, pkg) //nolint:gosec // the tests' own
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", pkg, err, out)
	}
	return path, nil
}

// orphansWithin is how long what a killed process started may live on.
const orphansWithin = 10 * time.Second

// leftovers are the processes of the built programs that don't end by themselves.
func leftovers() (pids []int) {
	for deadline := time.Now().Add(orphansWithin); ; {
		if pids = processes(""); len(pids) == 0 || time.Now().After(deadline) {
			return pids
		}
		<-time.After(lookAgain)
	}
}

// processes are those of the built programs that stand in a folder; in any
// where dir is empty.
func processes(dir string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || filepath.Dir(exe) != built.dir {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err == nil && (dir == "" || cwd == dir || within(cwd, dir)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
