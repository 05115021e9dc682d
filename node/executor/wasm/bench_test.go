package wasm_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"souk/node/executor"
	"souk/node/executor/executortest"
	"souk/node/executor/wasm"
)

// BenchmarkNoOp is the executor alone, from Prepare to Remove, 64 jobs in
// flight, of one client or of as many clients.
func BenchmarkNoOp(b *testing.B) {
	const inFlight = 64
	modules := map[string][]byte{"tiny": module(noArgs, oneFunc, exported, empty), "80KB": bulky()}
	for name, raw := range modules {
		for _, owners := range []int{1, inFlight} {
			b.Run(fmt.Sprintf("%s/owners=%d", name, owners), func(b *testing.B) {
				noOps(b, raw, owners, inFlight)
			})
		}
		b.Run(name+"/alone", func(b *testing.B) { noOps(b, raw, 1, 1) })
	}
}

func noOps(b *testing.B, raw []byte, owners, inFlight int) {
	src := &executortest.Source{}
	e, err := wasm.New(wasm.Config{Dir: filepath.Join(b.TempDir(), "wasm"), SandboxPath: built.sandbox, Source: src, Spares: 2 * runtime.NumCPU()})
	require.NoError(b, err)
	spec := executor.Spec{
		Module: src.File(b, raw),
		Limits: executor.Limits{Memory: 16 << 20, Disk: 1 << 20, Log: 1 << 20, Time: time.Minute},
	}
	var ids, workers atomic.Int64
	began := processorTime()
	b.SetParallelism(max(1, inFlight/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	job := func(owner int64) {
		s := spec
		s.ID, s.Owner = fmt.Sprintf("n%d", ids.Add(1)), fmt.Sprint("owner", owner)
		x, err := e.Prepare(b.Context(), s)
		if err != nil || x.Start(b.Context()) != nil {
			b.Error("could not run", err)
			return
		}
		<-x.Done()
		if r := x.Result(); r.Cause != executor.Exited || x.Remove() != nil {
			b.Error("did not end well", r)
		}
	}
	if inFlight == 1 {
		for b.Loop() {
			job(0)
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			owner := workers.Add(1) % int64(owners)
			for pb.Next() {
				job(owner)
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.StopTimer()
	require.NoError(b, e.Close(false))
	b.ReportMetric(float64((processorTime()-began).Microseconds())/1000/float64(b.N), "cpu-ms/job") // with starting and ending sandboxes
}

// processorTime is what this process used, and its children that ended.
func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var ru unix.Rusage
		if unix.Getrusage(who, &ru) == nil {
			sum += time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		}
	}
	return sum
}

// bulky is a module of about 80 KB whose program does nothing.
func bulky() []byte {
	const functions, each = 100, 800
	decl := []byte{functions + 1}
	code := []byte{functions + 1, 2, 0, 0x0b}
	for range functions {
		decl = append(decl, 0)
		body := []byte{0}
		for len(body) < each {
			body = append(body, 0x41, 0x00, 0x1a) // i32.const 0, drop
		}
		body = append(body, 0x0b)
		code = append(append(code, byte(len(body)&0x7f|0x80), byte(len(body)>>7)), body...)
	}
	sized := append([]byte{10, byte(len(code)&0x7f | 0x80), byte(len(code)>>7&0x7f | 0x80), byte(len(code) >> 14)}, code...)
	return module(noArgs, section(3, append(decl, 0)...), exported, sized)
}
