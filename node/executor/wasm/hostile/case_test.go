package hostile_test

import (
	"slices"
	"time"

	"souk/node/executor"
)

// What hostile modules are given, unless they need another limit.
const (
	memoryLimit = 32 << 20 // bytes
	diskLimit   = 4 << 20  // bytes
	logLimit    = 64 << 10 // bytes
	runLimit    = 400 * time.Millisecond
	outputs     = "/out"
)

// How executions end, beside "exit N" and the causes.
const (
	refused     = "refused" // a sentence for the client instead of an execution
	ok          = "exit 0"
	limitTime   = string(executor.LimitTime)
	limitMemory = string(executor.LimitMemory)
	limitDisk   = string(executor.LimitDisk)
	trapped     = string(executor.Trapped)
)

// hostile is a module that means harm.
type hostile struct {
	name string
	raw  []byte
	// ends are the endings that are right for it.
	ends []string
	// adjust changes what it is given.
	adjust func(*executor.Spec)
	// bomb says that it is made against the compiler, which then has little time.
	bomb bool
}

func hostiles() []hostile {
	return slices.Concat(loops(), memories(), recursions(), logs(), paths(), disks(), calls(), invalids(), features(), bombs(), strings())
}

// endless is a module that runs until its time is over.
func endless(name string, p *program) hostile {
	return hostile{name: name, raw: p.encode(), ends: []string{limitTime}, adjust: brief}
}

func brief(s *executor.Spec) { s.Limits.Time = runLimit }

func realTime(s *executor.Spec) { s.RealTime = true }

func and(all ...func(*executor.Spec)) func(*executor.Spec) {
	return func(s *executor.Spec) {
		for _, f := range all {
			f(s)
		}
	}
}

// ending is a module that ends by itself or by another limit than time.
func ending(name string, p *program, ends ...string) hostile {
	return hostile{name: name, raw: p.encode(), ends: ends}
}

// raw is a module that is not made of a program.
func raw(name string, module []byte, ends ...string) hostile {
	return hostile{name: name, raw: module, ends: ends}
}
