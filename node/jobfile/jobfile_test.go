package jobfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
	"souk/node/jobfile"
	"souk/protocol/market"
)

// program is the smallest module with a _start: type, function, export and code sections.
var program = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x07\x0a\x01\x06_start\x00\x00" + "\x0a\x04\x01\x02\x00\x0b")

// workspace is a folder with a module, an input and whatever else is named.
func workspace(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	write := func(name, data string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	write("train.wasm", string(program))
	write("digits.bin", "data")
	for name, data := range files {
		write(name, data)
	}
	return dir
}

const whole = `name: digits
task: {wasm: train.wasm, args: [--epochs, "5"], env: {SEED: "1"}}
inputs: [{path: digits.bin, at: /in/digits.bin}]     # a file or a folder
outputs: /out
needs: {cpu: 1, memory: 256MiB, disk: 64MiB, gpu: "RTX4090:2", vram: 24GiB}
limits: {time: 10m, price: 0.50/h, total: 0.10}
region: any
`

func amount(n uint64) *market.Amount { a := market.NewAmount(n); return &a }

func TestAWholeJob(t *testing.T) {
	dir := workspace(t, map[string]string{"job.yaml": whole})
	got, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
	require.NoError(t, err)
	require.Equal(t, jobfile.Spec{
		Name: "digits", WASM: filepath.Join(dir, "train.wasm"), Args: []string{"--epochs", "5"}, Env: map[string]string{"SEED": "1"},
		Inputs:  []jobfile.Input{{Path: filepath.Join(dir, "digits.bin"), At: "/in/digits.bin"}},
		Outputs: "/out", CPU: 1, Memory: 256 << 20, Disk: 64 << 20, GPU: &market.GPUNeed{Name: "RTX4090", Count: 2, VRAM: 24 << 30},
		Time: 10 * time.Minute, Price: amount(500_000), Total: *amount(100_000), Region: "any", Retries: 2,
	}, got)
}

func TestJSONAndYAMLAreTheSame(t *testing.T) {
	dir := workspace(t, map[string]string{
		"job.yaml": "task: {wasm: train.wasm}\nlimits: {total: 0.10}\n",
		"job.json": "{\n\t\"task\": {\"wasm\": \"train.wasm\"},\n\t\"limits\": {\"total\": 0.10}\n}\n",
	})
	a, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
	require.NoError(t, err)
	b, err := jobfile.Load(filepath.Join(dir, "job.json"))
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.Equal(t, "train", a.Name)
	require.Equal(t, jobfile.DefaultTime, a.Time)
	require.Equal(t, int64(jobfile.DefaultMemory), a.Memory)
	require.Equal(t, jobfile.DefaultRetries, a.Retries)
	require.Nil(t, a.GPU)
	require.Nil(t, a.Price)
}

func TestTotalFollowsFromThePrice(t *testing.T) {
	dir := workspace(t, map[string]string{"job.yaml": "task: {wasm: train.wasm}\nlimits: {price: 0.50/h, time: 10m}\n"})
	got, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
	require.NoError(t, err)
	require.Equal(t, market.NewAmount(166_700), got.Total, "twice 0.50 for 10 minutes, rounded up")
}

func TestVRAMAloneNeedsAnyGPU(t *testing.T) {
	dir := workspace(t, map[string]string{"job.yaml": "task: {wasm: train.wasm}\nlimits: {total: 1}\nneeds: {vram: 24GiB}"})
	got, err := jobfile.Load(filepath.Join(dir, "job.yaml"))
	require.NoError(t, err)
	require.Equal(t, &market.GPUNeed{Name: "any", Count: 1, VRAM: 24 << 30}, got.GPU)
}

// bad is a job file with one thing wrong, and what the sentence about it says.
var bad = map[string]struct{ yaml, want string }{
	"not YAML":         {"task: [", "job.yaml: it is neither YAML nor JSON: line 1"},
	"empty":            {"", "job.yaml: it is empty"},
	"only a comment":   {"# nothing", "job.yaml: it is empty"},
	"null":             {"~", "nothing stands where keys and values are needed"},
	"a list":           {"- a", "job.yaml:1: a list stands where keys"},
	"two documents":    {"task: {wasm: train.wasm}\n---\nname: x", "second document"},
	"unknown key":      {"task: {wasm: train.wasm}\nlimit: {total: 1}", "job.yaml:2: limit: unknown key, did you mean limits?"},
	"unknown far key":  {"task: {wasm: train.wasm}\nzzzzzzzz: 1", "job.yaml:2: zzzzzzzz: unknown key; the keys here are inputs, limits"},
	"unknown inner":    {"needs:\n  cpu: 1\n  memroy: 1Gi", "job.yaml:3: needs.memroy: unknown key, did you mean memory?"},
	"twice":            {"name: a\nname: b", "job.yaml:2: name: it stands here again; it was set in line 1"},
	"alias":            {"name: &a x\nregion: *a", "job.yaml:2: region: an alias"},
	"empty value":      {"name:\n", "job.yaml:1: name: it is empty"},
	"bad name":         {"name: ../../etc", "job.yaml:1: name: "},
	"no module":        {"name: x\nlimits: {total: 1}", "task.wasm: the job has no module"},
	"module missing":   {"limits: {total: 1}\ntask:\n  wasm: gone.wasm", "job.yaml:3: task.wasm: module "},
	"module a folder":  {"limits: {total: 1}\ntask: {wasm: .}", "is no file"},
	"module no WASM":   {"limits: {total: 1}\ntask: {wasm: digits.bin}", "is no WASM module: it doesn't begin with \\0asm"},
	"no total":         {"task: {wasm: train.wasm}", "limits.total: it is missing"},
	"price -1":         {"limits: {price: -1}", "job.yaml:1: limits.price: \"-1\" is no amount: it is negative"},
	"price 1e40":       {"limits:\n  price: 1e40", "job.yaml:2: limits.price: \"1e40\" is no amount"},
	"price NaN":        {"limits: {price: .nan}", "limits.price: \".nan\" is no amount"},
	"total per hour":   {"limits: {total: 1/h}", "limits.total: \"1/h\" is no amount: it is a price per hour"},
	"time without":     {"limits: {time: 10}", "limits.time: \"10\" is no time; write a number and a unit"},
	"time too long":    {"limits: {time: 1000h}", "is not from 1s to 720h"},
	"time too short":   {"limits: {time: 1ms}", "is not from 1s to 720h"},
	"time negative":    {"limits: {time: -10m}", "is not from 1s to 720h"},
	"cpu zero":         {"needs: {cpu: 0}", "needs.cpu: \"0\" is not a whole number from 1 to 4096"},
	"cpu half":         {"needs: {cpu: 500m}", "needs.cpu"},
	"memory over":      {"task: {wasm: train.wasm}\nlimits: {total: 1}\nneeds: {memory: 5GiB}", "needs.memory: 5GiB is over the limit of 4GiB"},
	"memory zero":      {"needs: {memory: 0}", "needs.memory: \"0\" is nothing"},
	"memory 2":         {"needs: {memory: 2}", "needs.memory: 2 is 2 bytes: write 2GiB"},
	"memory 2048":      {"needs: {memory: 2048}", "needs.memory: 2048 is 2048 bytes: write 2048MiB"},
	"memory 256":       {"needs: {memory: 256}", "needs.memory: 256 is 256 bytes: write 256MiB, or for an image 256GiB"},
	"memory lots":      {"needs: {memory: lots}", "such as 256Mi, 24GiB or 500M"},
	"vram 24":          {"needs: {vram: 24}", "needs.vram: 24 is 24 bytes: write 24GiB"},
	"disk 1k":          {"needs: {disk: 1k}", "needs.disk: 1k is 1000 bytes: write 1MiB or more"},
	"image, memory":    {"task: {image: \"alpine:3\"}\nlimits: {total: 1}\nneeds: {memory: 2MiB}", "needs.memory: 2MiB is too little: an image's job needs 6MiB at least"},
	"memory words":     {"needs: {memory: lots}", "needs.memory: \"lots\" is not a size"},
	"disk negative":    {"needs: {disk: -1}", "needs.disk: \"-1\" is not a size: it is negative"},
	"gpu count":        {"needs: {gpu: \"RTX4090:0\"}", "needs.gpu: "},
	"gpu a list":       {"needs: {gpu: [a]}", "needs.gpu: a list stands where one value is needed"},
	"region":           {"region: mars", "region: \"mars\" is no region; use one of any, eu"},
	"retries":          {"retries: 99", "retries: \"99\" is not a whole number from 0 to 10"},
	"outputs relative": {"outputs: out", "outputs: \"out\" is not a clean absolute path"},
	"outputs dots":     {"outputs: /out/../etc", "is not a clean absolute path"},
	"outputs root":     {"outputs: /", "is not a clean absolute path"},
	"args no list":     {"task: {wasm: train.wasm, args: --x}", "task.args: a single value stands where a list is needed"},
	"env no map":       {"task: {wasm: train.wasm, env: [A=1]}", "task.env: a list stands where names and values are needed"},
	"env null":         {"task:\n  env: {A: }", "job.yaml:2: task.env.A: it is empty"},
	"input missing":    {"task: {wasm: train.wasm}\nlimits: {total: 1}\ninputs:\n  - {path: gone.bin, at: /in}", "job.yaml:4: inputs[0]: input "},
	"input no place":   {"inputs: [{path: digits.bin}]", "inputs[0]: it doesn't say where the job finds it"},
	"input no source":  {"inputs: [{at: /in}]", "inputs[0]: an input has either a path or a cid"},
	"input both":       {"inputs: [{path: a, cid: b, at: /in}]", "inputs[0]: an input has either a path or a cid"},
	"input bad cid":    {"inputs: [{cid: nonsense, at: /in}]", "inputs[0]: \"nonsense\" is no CID"},
	"inputs overlap": {
		"task: {wasm: train.wasm}\nlimits: {total: 1}\ninputs:\n  - {path: digits.bin, at: /in}\n  - {path: digits.bin, at: /in/x}",
		"job.yaml:5: inputs[1]: /in/x lies in the same place",
	},
	"input in outputs": {
		"task: {wasm: train.wasm}\nlimits: {total: 1}\noutputs: /out\ninputs: [{path: digits.bin, at: /out/x}]",
		"inputs[0]: /out/x lies in the same place",
	},
	"image and module": {"task: {wasm: train.wasm, image: alpine}\nlimits: {total: 1}", "task.image: there is a WASM module too"},
	"module and image": {"task: {image: alpine, wasm: train.wasm}\nlimits: {total: 1}", "task.wasm: there is an image too"},
	"image no name":    {"task: {image: \"Not A Name\"}\nlimits: {total: 1}", "job.yaml:1: task.image: \"Not A Name\" is no image name"},
	"image bad digest": {"task: {image: \"alpine@sha256:12\"}\nlimits: {total: 1}", "malformed name or digest"},
	"image gone":       {"task: {image: gone.tar}\nlimits: {total: 1}", "task.image: image archive "},
	"image no archive": {"task: {image: digits.bin}\nlimits: {total: 1}", "is no image archive; write one with: docker save"},
	"image real time":  {"task: {image: alpine, realTime: true}\nlimits: {total: 1}", "task.realTime: an image always has the real clock"},
	"image memory":     {"needs: {memory: 2000000GiB}", "is over the limit of"},
	"WASM egress":      {"task: {wasm: train.wasm}\nlimits: {total: 1}\nneeds: {egress: [\"example.org:443\"]}", "needs.egress: a WASM job has no network; use an image"},
	"egress private":   {"needs:\n  egress:\n    - example.org:443\n    - 10.0.0.1:80", "job.yaml:4: needs.egress: \"10.0.0.1\" is no public address"},
	"egress no list":   {"needs: {egress: \"example.org:443\"}", "needs.egress: a single value stands where a list is needed"},
	"verify no GPU":    {"task: {wasm: train.wasm}\nlimits: {total: 1}\nverify: {challenge: true}", "job.yaml:3: verify.challenge: GPUs are challenged, and the job needs none; name one"},
	"verify unknown":   {"verify: {chalenge: true}", "verify.chalenge: unknown key, did you mean challenge?"},
	"document too long": {
		"task: {wasm: train.wasm, args: [" + strings.Repeat("x", 33<<10) + "]}\nlimits: {total: 1}",
		"don't fit the job document",
	},
}

func TestBadJobs(t *testing.T) {
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			dir := workspace(t, map[string]string{"job.yaml": c.yaml})
			t.Chdir(dir)
			_, err := jobfile.Load("job.yaml")
			var wrong *jobfile.Error
			require.ErrorAs(t, err, &wrong)
			require.Contains(t, err.Error(), c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestNoJobFile(t *testing.T) {
	dir := workspace(t, map[string]string{"long.yaml": strings.Repeat("#", jobfile.MaxFile+1), "small.wasm": "\x00asm\x01\x00\x00\x00", "long.wasm": "\x00asm" + strings.Repeat("#", jobfile.MaxFile)})
	_, err := jobfile.Load(filepath.Join(dir, "gone.yaml"))
	require.ErrorContains(t, err, "does not exist")
	_, err = jobfile.Load(dir)
	require.ErrorContains(t, err, "it is a folder")
	_, err = jobfile.Load(filepath.Join(dir, "long.yaml"))
	require.ErrorContains(t, err, "more than 256KiB")
	for _, module := range []string{"small.wasm", "long.wasm"} {
		path := filepath.Join(dir, module)
		_, err = jobfile.Load(path)
		require.ErrorContains(t, err, "it is a WASM module and no job file; put it after --: souk run --total 0.10 -- "+path)
	}
}

func TestBadModules(t *testing.T) {
	for name, c := range map[string]struct{ module, want string }{
		"empty":       {"", "is no WASM module"},
		"component":   {"\x00asm\x0d\x00\x01\x00", "no core WASM module of version 1"},
		"no sections": {string(program[:8]), "it has no _start function"},
		"no export":   {string(program[:18]), "it has no _start function"},
		"cut":         {string(program[:len(program)-3]), "it is cut short or damaged"},
		"cut export":  {string(program[:24]), "it is cut short or damaged"},
		"memory named so": {
			string(program[:8]) + "\x07\x0a\x01\x06_start\x02\x00", "it has no _start function",
		},
		"many exports": {string(program[:8]) + "\x07\x05\xff\xff\xff\xff\x0f", "it is cut short or damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := workspace(t, map[string]string{"m.wasm": c.module})
			t.Chdir(dir)
			_, err := jobfile.FromFlags("m.wasm", nil, []jobfile.Setting{{Flag: "--total", Field: "limits.total", Text: "1"}})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAModuleOverTheLimit(t *testing.T) {
	dir := workspace(t, map[string]string{"m.wasm": string(program)})
	require.NoError(t, os.Truncate(filepath.Join(dir, "m.wasm"), market.MaxModuleBytes+1)) // sparse
	_, err := jobfile.FromFlags(filepath.Join(dir, "m.wasm"), nil, []jobfile.Setting{{Flag: "--total", Field: "limits.total", Text: "1"}})
	require.ErrorContains(t, err, "the limit is 256MiB")
}

func TestFlags(t *testing.T) {
	dir := workspace(t, nil)
	t.Chdir(dir)
	set := func(flag, field, text string) jobfile.Setting {
		return jobfile.Setting{Flag: flag, Field: field, Text: text}
	}
	got, err := jobfile.FromFlags("train.wasm", []string{"--epochs", "5"}, []jobfile.Setting{
		set("--gpu", "needs.gpu", "A100-80GB:4"), set("--memory", "needs.memory", "1Gi"), set("--max-price", "limits.price", "0.50"),
		set("--input", "inputs", "digits.bin:/in/digits.bin"), set("--env", "env", "A=b=c"), set("--outputs", "outputs", "/out"),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"--epochs", "5"}, got.Args)
	require.Equal(t, &market.GPUNeed{Name: "A100-80GB", Count: 4}, got.GPU)
	require.Equal(t, map[string]string{"A": "b=c"}, got.Env)
	require.Equal(t, []jobfile.Input{{Path: filepath.Join(dir, "digits.bin"), At: "/in/digits.bin"}}, got.Inputs)

	for _, c := range []struct {
		setting jobfile.Setting
		want    string
	}{
		{set("--memory", "needs.memory", "x"), "--memory: \"x\" is not a size"},
		{set("--vram", "needs.vram", "24"), "--vram: 24 is 24 bytes: write 24GiB"},
		{set("--input", "inputs", "digits.bin"), "--input: \"digits.bin\" does not say what and where"},
		{set("--input", "inputs", "digits.bin:in"), "--input"},
		{set("--input", "inputs", "gone:/in"), "--input: input "},
		{set("--env", "env", "A"), "--env: \"A\" has no ="},
		{set("--max-price", "limits.price", "-1"), "--max-price: \"-1\" is no amount: it is negative"},
	} {
		_, err := jobfile.FromFlags("train.wasm", nil, []jobfile.Setting{set("--total", "limits.total", "1"), c.setting})
		require.ErrorContains(t, err, c.want)
	}
	_, err = jobfile.FromFlags("train.wasm", nil, nil)
	require.ErrorContains(t, err, "limits.total: it is missing; write the most that the job may cost in all, such as --total 0.10")
}

func TestSettingsGoOverTheFile(t *testing.T) {
	dir := workspace(t, map[string]string{"job.yaml": whole})
	got, err := jobfile.Load(filepath.Join(dir, "job.yaml"), jobfile.Setting{Flag: "--retries", Field: "retries", Text: "0"})
	require.NoError(t, err)
	require.Zero(t, got.Retries)
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	dir := workspace(t, nil)
	text := rapid.StringMatching(`[ -~]{0,12}|null|~|true|1|é\n\t"`)
	rapid.Check(t, func(t *rapid.T) {
		want := jobfile.Spec{
			Name: "j", WASM: filepath.Join(dir, "train.wasm"), Args: rapid.SliceOfN(text, 1, 4).Draw(t, "args"),
			Env:     map[string]string{"A": text.Draw(t, "env"), "no": "x"},
			Inputs:  []jobfile.Input{{Path: filepath.Join(dir, "digits.bin"), At: "/in"}},
			Outputs: "/out", CPU: rapid.IntRange(1, 4096).Draw(t, "cpu"), Memory: rapid.Int64Range(1<<20, jobfile.MaxMemory).Draw(t, "memory"),
			Disk: rapid.Int64Range(1<<20, 1<<60).Draw(t, "disk"), GPU: &market.GPUNeed{Name: "any", Count: 3, VRAM: 5 << 20},
			AllowSimulated: rapid.Bool().Draw(t, "simulated"), Exclusive: rapid.Bool().Draw(t, "exclusive"), RealTime: rapid.Bool().Draw(t, "real time"),
			Time:  time.Duration(rapid.Int64Range(1000, market.MaxLeaseMillis).Draw(t, "time")) * time.Millisecond,
			Price: amount(rapid.Uint64Range(0, 1e15).Draw(t, "price")), Total: *amount(rapid.Uint64Range(0, 1e15).Draw(t, "total")),
			Region: "eu", Retries: 1,
		}
		var out bytes.Buffer
		require.NoError(t, want.Write(&out))
		got, err := jobfile.Read("job.yaml", "/elsewhere", out.Bytes())
		require.NoError(t, err, out.String())
		require.Equal(t, want, got)
	})
}

func FuzzRead(f *testing.F) {
	dir := workspace(f, nil)
	f.Add([]byte(whole))
	for _, c := range bad {
		if len(c.yaml) < 1000 {
			f.Add([]byte(c.yaml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bound(t)
		spec, err := jobfile.Read("job.yaml", dir, data)
		if err != nil {
			var wrong *jobfile.Error
			require.ErrorAs(t, err, &wrong)
			return
		}
		var out bytes.Buffer
		require.NoError(t, spec.Write(&out))
		again, err := jobfile.Read("job.yaml", dir, out.Bytes())
		require.NoError(t, err, out.String())
		require.Equal(t, spec, again)
	})
}
