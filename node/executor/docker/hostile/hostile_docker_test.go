//go:build dockertest

package hostile_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/executortest"
)

const (
	memory = 128 << 20
	disk   = 32 << 20
	slack  = 16 << 20 // by which a file system may be larger, so that going over the limit is seen
	logMax = 256 << 10
	// atOnce is how many jobs run at one time.
	atOnce = 4
	// cleanWithin is how long after its end nothing of a job may be left.
	cleanWithin = 10 * time.Second
	// escaped is the exit code of a program that got out.
	escaped = 66
	// patience is how long a job may take in all.
	patience = 60 * time.Second
)

// only names the programs to run, for whoever looks into one: go test ... -only io-uring,freeze
var only = flag.String("only", "", "names of the programs to run, with commas; empty: all")

// TestRunc runs every hostile program on the runtime that shares this machine's kernel.
func TestRunc(t *testing.T) { runAll(t, "runc") }

// suite is all that the programs of one runtime share.
type suite struct {
	config  docker.Config
	exec    *docker.Executor
	dir     string
	node    string
	image   cid.Cid
	input   cid.Cid
	facts   map[string]any
	outside *outside
	canary  *canary
	// ownKernel is that the runtime doesn't share this machine's.
	ownKernel bool
}

// verdict is what became of one program.
type verdict struct {
	name  string
	ended string
	said  string
	took  time.Duration
	clean time.Duration // from the end until nothing was left
	wrong []string      // what must not be, in sentences
}

func runAll(t *testing.T, runtime string) {
	s := newSuite(t, runtime)
	cases := behaviours()
	if *only != "" {
		names := strings.Split(*only, ",")
		cases = slices.DeleteFunc(cases, func(b behaviour) bool { return !slices.Contains(names, b.name) })
	}
	verdicts := make([]verdict, len(cases))
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, b := range cases {
		slots <- struct{}{}
		wg.Go(func() {
			verdicts[i] = s.try(t.Context(), b)
			<-slots
		})
	}
	wg.Wait()
	harm := s.canary.harm(t)
	t.Log(table(runtime, verdicts))
	for _, v := range verdicts {
		for _, w := range v.wrong {
			t.Errorf("%s on %s: %s", v.name, runtime, w)
		}
	}
	require.Empty(t, harm, "the machine is as it was")
	require.NoError(t, s.exec.Close(false))
	require.Empty(t, s.outside.left(t.Context(), s.node), "the executor left nothing")
}

func newSuite(t *testing.T, runtime string) *suite {
	src := &executortest.Source{}
	s := &suite{dir: t.TempDir(), node: "hostile-" + runtime, ownKernel: runtime == "runsc", canary: newCanary(t)}
	raw, imageID := archive(t, program(t))
	s.image = src.File(t, raw)
	s.input = src.Folder(t, map[string][]byte{"file": []byte("input"), "more/file": []byte("input")})
	s.config = docker.Config{
		Dir: s.dir, Source: src, Node: s.node, Runtime: runtime, AllowRunc: runtime == "runc", CacheBytes: 1, InitPath: buildStatic(t, "souk/cmd/souk-init"),
	}
	var err error
	s.exec, err = docker.New(s.config)
	require.NoError(t, err)
	require.NoError(t, s.exec.Check(t.Context()))
	s.outside = newOutside(t, s.dir)
	t.Cleanup(func() { s.outside.removeImage(t, imageID) })
	s.facts = map[string]any{
		"pid": s.canary.process.Process.Pid, "file": s.canary.file, "addresses": addresses(t),
		"tcp": port(s.canary.ears[0].Addr()), "udp": port(s.canary.udp.LocalAddr()), "abstract": "souk-hostile-" + s.canary.secret,
		"sysv": s.canary.sysv, "memory": memory, "disk": disk,
	}
	return s
}

// spec is a job that runs one program. Its ID is in its environment, by which
// its processes can be told from all others.
func (s *suite) spec(b behaviour) executor.Spec {
	id := strings.ReplaceAll(b.name, "-", "") + "x"
	known := map[string]any{"id": s.marker(id)}
	for k, v := range s.facts {
		known[k] = v
	}
	raw, err := json.Marshal(known)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	spec := executor.Spec{
		ID: id, Owner: "owner", Image: &executor.Image{Archive: s.image}, Args: []string{b.name},
		Env:     map[string]string{"HOSTILE_FACTS": string(raw), "FROM_JOB": "1"},
		Inputs:  []executor.Input{{At: "/inputs", CID: s.input}},
		Outputs: "/out",
		Limits:  executor.Limits{CPU: 1, Memory: memory, Disk: disk, Log: logMax, Time: patience / 2},
	}
	if b.adjust != nil {
		b.adjust(&spec)
	}
	return spec
}

func (s *suite) marker(id string) string { return s.node + "/" + id }

// try runs one program from Prepare to Remove and looks at it from outside.
func (s *suite) try(ctx context.Context, b behaviour) (v verdict) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	v.name = b.name
	wrong := func(format string, args ...any) { v.wrong = append(v.wrong, fmt.Sprintf(format, args...)) }
	spec := s.spec(b)
	x, err := s.exec.Prepare(ctx, spec)
	if err != nil {
		wrong("it could not be prepared: %v", err)
		return v
	}
	traces := s.outside.traces(ctx, s.node, spec.ID)
	if err := x.Start(ctx); err != nil {
		wrong("it could not be started: %v", err)
	}
	select {
	case <-x.Done():
	case <-ctx.Done():
		wrong("it did not end")
		_ = x.Stop(context.WithoutCancel(ctx))
	}
	v.took = time.Since(began)
	ended := time.Now()
	v.wrong = append(v.wrong, s.judge(ctx, b, x, &v)...)
	v.wrong = append(v.wrong, s.harvest(ctx, b, x)...)
	if err := x.Remove(); err != nil {
		wrong("it could not be removed: %v", err)
	}
	v.wrong = append(v.wrong, s.outside.gone(ctx, traces, ended.Add(cleanWithin))...)
	v.clean = time.Since(ended)
	return v
}

// judge reads its result and its log.
func (s *suite) judge(ctx context.Context, b behaviour, x executor.Execution, v *verdict) (wrong []string) {
	r := x.Result()
	v.ended = string(r.Cause)
	if r.Cause == executor.Exited {
		v.ended = fmt.Sprintf("exit %d", r.ExitCode)
	}
	text, err := readLog(ctx, x)
	if err != nil {
		wrong = append(wrong, fmt.Sprintf("its log: %v", err))
	}
	v.said = lastLine(text)
	if len(text) > logMax+4096 {
		wrong = append(wrong, fmt.Sprintf("its log has %d bytes, %d were leased", len(text), logMax))
	}
	if used := x.Usage().Memory; used > memory+slack {
		wrong = append(wrong, fmt.Sprintf("it held %d bytes of memory, %d were leased", used, memory))
	}
	ends := b.ends
	if len(ends) == 0 {
		ends = []end{contained}
	}
	now := end{cause: r.Cause}
	if r.Cause == executor.Exited {
		now.code = r.ExitCode
	}
	if b.look != nil {
		if err := b.look(x); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if now == (end{executor.Exited, escaped}) && s.onlyVirtual(b, text) {
		v.ended += " (in its own kernel)"
		return wrong
	}
	if !slices.Contains(ends, now) {
		wrong = append(wrong, fmt.Sprintf("it ended with %s (%s) and not as one of %v, saying: %s", v.ended, r.Detail, ends, v.said))
	}
	return wrong
}

// onlyVirtual says whether all that worked is what a runtime's own kernel gives.
func (s *suite) onlyVirtual(b behaviour, text string) bool {
	_, worked, found := strings.Cut(text, "these worked: ")
	if !found || !s.ownKernel {
		return false
	}
	for what := range strings.SplitSeq(strings.TrimRight(worked, "; \n"), "; ") {
		if !slices.Contains(b.virtual, what) {
			return false
		}
	}
	return true
}

func readLog(ctx context.Context, x executor.Execution) (string, error) {
	r, err := x.Log(ctx, 0)
	if err != nil {
		return "", err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, 16<<20))
	return string(raw), err
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	text = text[strings.LastIndexByte(text, '\n')+1:]
	return fmt.Sprintf("%.110q", text)
}

func table(runtime string, verdicts []verdict) string {
	var b strings.Builder
	escapes := 0
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\tended\ttook\tclean\tsaid\n", runtime)
	for _, v := range verdicts {
		mark := ""
		if len(v.wrong) > 0 {
			mark = "  << " + v.wrong[0]
			escapes++
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f s\t%.1f s\t%s%s\n", v.name, v.ended, v.took.Seconds(), v.clean.Seconds(), v.said, mark)
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "%d escapes of %d on %s\n", escapes, len(verdicts), runtime)
	return b.String()
}
