package testnet_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/testnet"
)

// How commands end. They share a quiet testnet.
func TestCommands(t *testing.T) {
	t.Parallel()
	w := up(t, testnet.Options{Providers: 2, Clients: 3, Tick: time.Second})
	t.Run("exit codes", func(t *testing.T) { t.Parallel(); exitCodes(&world{t, w.s}, w.dir("client-1")) })
	t.Run("detach", func(t *testing.T) { t.Parallel(); detach(&world{t, w.s}, "client-2") })
	t.Run("bad input", func(t *testing.T) { t.Parallel(); badInput(&world{t, w.s}, w.dir("client-3")) })
	t.Run("data directory in use", func(t *testing.T) {
		t.Parallel()
		second := souk(t, w.dir("provider-1"), "provide", "--price", "0.10/h").ends(client.ExitSouk)
		require.Contains(t, second.err.String(), "another souk process holds")
	})
}

func exitCodes(w *world, dir string) {
	for _, c := range []struct {
		name   string
		args   []string
		exit   int
		source string
		code   string
		says   string
	}{
		{"the job's own", worker("0s", "--", "-exit", "7"), 7, "job", "", ""},
		{"nobody has the GPU", worker("0s", "--gpu", "MI300X"), 125, "souk", "no_provider", "none fits; the nearest: "},
		{"too dear", worker("0s", "--gpu", "RTX4090", "--max-price", "0.30/h"), 125, "souk", "over_price", "the cheapest asks 0.4032/h, your limit is 0.30/h"},
		{"no such flag", []string{"run", "--json", "--gpus", "1"}, 2, "souk", "usage", "did you mean --gpu?"},
		{"no such command", []string{"rum", "--json"}, 2, "souk", "usage", "did you mean run?"},
		{"a price below zero", worker("0s", "--max-price", "-1/h"), 2, "souk", "usage", "-1"},
		{"a price beyond all", worker("0s", "--max-price", "1e40"), 2, "souk", "usage", "1e40"},
		{"malformed job file", []string{"run", "--json", file(w.t, "job.yaml", "name: x\ntask: {wasm: [}\n")}, 2, "souk", "usage", "line 1"},
		{"unknown field", []string{"run", "--json", file(w.t, "job.yaml", "name: x\ntask: {wasn: x.wasm}\n")}, 2, "souk", "usage", "wasm"},
	} {
		w.t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := souk(t, dir, c.args...).ends(c.exit)
			done := run.kind(client.Finished)
			require.Equal(t, c.source, done.Source)
			require.Equal(t, c.code, done.Code)
			require.Equal(t, c.exit, *done.Exit)
			require.Contains(t, done.Text, c.says)
			if c.source == "souk" {
				require.NotContains(t, run.out.String(), `"placed"`, "nothing was asked of anybody")
			}
		})
	}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func badInput(w *world, dir string) {
	missing := filepath.Join(w.t.TempDir(), "nothing")
	there := w.t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		exit int
		code string
		says string
	}{
		{"missing input", worker("0s", "--input", missing+":/in/data"), 0, "", missing},
		{"missing module", []string{"run", "--json", "--total", "1", "--", missing + ".wasm"}, 0, "", missing},
		{"a text as module", []string{"run", "--json", "--total", "1", "--", file(w.t, "a.wasm", "not wasm")}, 0, "", "WASM"},
		{"module without _start", []string{"run", "--json", "--total", "1", "--", file(w.t, "b.wasm", "\x00asm\x01\x00\x00\x00")}, 0, "", "_start"},
		{"job over a limit", worker("0s", "--time", "10000h"), 0, "", "time"},
		{"more than any has", worker("0s", "--memory", "3GiB"), 125, "no_provider", "memory"},
		{"output folder exists", worker("0s", "-o", there), 125, "bad_input", there + " exists"},
		{"no such job", []string{"job", "ffff", "--json"}, 125, "unknown", "no job's ID begins with"},
	} {
		w.t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := souk(t, dir, c.args...)
			done := run.kind(client.Finished)
			require.Contains(t, done.Text, c.says)
			if c.code != "" {
				require.Equal(t, c.code, done.Code)
				require.Equal(t, c.exit, *done.Exit)
			} else {
				require.Contains(t, []int{2, 125}, *done.Exit)
			}
			require.NotContains(t, run.out.String(), `"placed"`)
		})
	}
	w.t.Cleanup(func() {
		require.Empty(w.t, w.receipts("client-3"), "nothing was paid")
	})
}

func detach(w *world, name string) {
	t, dir := w.t, w.dir(name)
	placed := souk(t, dir, worker("6s", "--detach", "--", "-exit", "7")...).ends(0)
	id := placed.kind(client.Placed).Job
	follow := start(t, dir, "logs", "-f", id[:8])
	out := filepath.Join(t.TempDir(), "out")
	attached := souk(t, dir, "attach", id, "--json", "-o", out).ends(7)
	require.Contains(t, attached.log(), "line 20\n")
	require.FileExists(t, filepath.Join(out, "result.txt"))
	follow.ends(0)
	require.Equal(t, attached.log(), follow.out.String())

	jobs := w.jobs(name)
	require.Len(t, jobs, 1)
	require.Equal(t, id, jobs[0].ID)
	require.Equal(t, jobs[0], w.job(name, id[:4]))
	require.Equal(t, 7, *jobs[0].Exit)
	again := souk(t, dir, "attach", id, "--json", "-o", filepath.Join(t.TempDir(), "out")).ends(7)
	require.Equal(t, attached.log(), again.log(), "a job can be attached after it ended")
	souk(t, dir, "outputs", id, "-o", out).ends(client.ExitSouk)
	second := filepath.Join(t.TempDir(), "again")
	souk(t, dir, "outputs", id, "-o", second).ends(0)
	require.FileExists(t, filepath.Join(second, "result.txt"))
	require.Equal(t, attached.log(), souk(t, dir, "logs", id).ends(0).out.String())

	id = souk(t, dir, worker("60s", "--detach")...).ends(0).kind(client.Placed).Job
	eventually(t, "it runs", func() bool { x := w.job(name, id).Executions; return len(x) > 0 && x[0].LogBytes > 0 })
	souk(t, dir, "cancel", id[:8]).ends(0)
	eventually(t, "it is done", func() bool { return w.job(name, id).State == "done" })
	require.Equal(t, "cancelled", w.job(name, id).Code)
	souk(t, dir, "attach", id, "--json", "-o", filepath.Join(t.TempDir(), "out")).ends(client.ExitCancelled)
	w.agree([]string{name}, []string{"provider-1", "provider-2"})
}
