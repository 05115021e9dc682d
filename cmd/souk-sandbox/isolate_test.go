//go:build linux

package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"souk/node/executor/wasm/control"
)

// workspaceEnv names, in a copy of this test binary, the workspace to be shut in.
const workspaceEnv = "SOUK_TEST_WORKSPACE"

// attempts are what a guest that broke out of WebAssembly might try.
func attempts(dir string) map[string]error {
	out := filepath.Join(dir, control.BoxWrite)
	tried := map[string]error{}
	_, tried["read a file of the machine"] = os.ReadFile("/etc/passwd")
	read := filepath.Join(dir, control.BoxRead)
	_, tried["list the workspace"] = os.ReadDir(dir)
	_, tried["read the log"] = os.ReadFile(filepath.Join(dir, control.LogFile))
	_, tried["read through .."] = os.ReadFile(out + "/../" + control.LogFile)
	tried["forge the result"] = os.WriteFile(filepath.Join(dir, control.ResultFile), nil, 0o600)
	tried["change the module"] = os.WriteFile(filepath.Join(read, control.BoxFile), nil, 0o600)
	tried["poison the cache"] = os.WriteFile(filepath.Join(read, control.BoxCode, "x"), nil, 0o600)
	tried["change an input"] = os.WriteFile(filepath.Join(dir, control.BoxRoot, "in"), nil, 0o600)
	tried["write over the limit"] = os.WriteFile(filepath.Join(out, "big"), make([]byte, 2<<20), 0o600)
	tried["make a link"] = os.Symlink("/etc/passwd", filepath.Join(out, "link"))
	tried["make a hard link"] = os.Link(filepath.Join(out, "ok"), filepath.Join(out, "hard"))
	tried["start a program"] = exec.Command("/bin/true").Run()
	_, tried["open a socket"] = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	_, tried["call its supervisor"] = net.Dial("unix", filepath.Join(dir, control.SocketFile))
	tried["signal its parent"] = unix.Kill(os.Getppid(), 0)
	tried["signal a thread elsewhere"] = unix.Tgkill(os.Getppid(), os.Getppid(), 0)
	_, tried["trace its parent"] = unix.PtraceGetEventMsg(os.Getppid())
	tried["raise a limit"] = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 40, Max: 1 << 40})
	return tried
}

// TestShutInProcess is the process that is shut in; the test below starts it.
func TestShutInProcess(t *testing.T) {
	dir := os.Getenv(workspaceEnv)
	if dir == "" {
		return
	}
	answer := os.NewFile(3, "answer")
	require.NoError(t, shutIn(control.Spec{Box: dir, Memory: 1 << 20, File: 1 << 20}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, control.BoxWrite, "ok"), []byte("ok"), 0o600))
	_, err := os.ReadFile(filepath.Join(dir, control.BoxRoot, "in"))
	require.NoError(t, err)
	var worked []string
	for what, err := range attempts(dir) {
		if err == nil {
			worked = append(worked, what)
		}
	}
	require.NoError(t, json.NewEncoder(answer).Encode(worked))
}

func TestShutIn(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{control.BoxRoot, control.BoxOut, control.BoxRead + "/" + control.BoxCode} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	for _, file := range []string{control.BoxRead + "/" + control.BoxFile, control.LogFile, control.BoxRoot + "/in"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte("x"), 0o600))
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestShutInProcess$")
	cmd.Env = append(os.Environ(), workspaceEnv+"="+dir)
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, w.Close())
	var worked []string
	require.NoError(t, json.NewDecoder(r).Decode(&worked))
	if landlockABI() == 0 { // wazero and the jail are what is left against these
		t.Log("this kernel has no Landlock; what worked:", worked)
		return
	}
	// Root may raise its limits; a user who is not can't.
	if os.Geteuid() == 0 {
		worked = without(worked, "raise a limit")
	}
	require.Empty(t, worked)
}

func without(list []string, gone string) (kept []string) {
	for _, s := range list {
		if s != gone {
			kept = append(kept, s)
		}
	}
	return kept
}
