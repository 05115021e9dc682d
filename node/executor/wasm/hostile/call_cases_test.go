package hostile_test

import (
	"encoding/binary"
	"fmt"
	stdstrings "strings"

	"souk/node/executor"
)

// logs write far more than their log takes.
func logs() []hostile {
	flood := func(fd, times1, n int64) code {
		return times(0, times1, ignored(sys("fd_write", i32(fd), vector(i32(0), i32(n)), i32(scratch+8))))
	}
	many := binary.LittleEndian.AppendUint32(nil, 0)
	many = binary.LittleEndian.AppendUint32(many, 1<<20)
	vectors := &texts{all: []byte(stdstrings.Repeat(string(many), 1000))} // each of 1 MiB
	return []hostile{
		ending("log-1-gb-to-stdout", run(flood(1, 1<<14, 1<<16)), ok),
		ending("log-1-gb-to-stderr", run(flood(2, 1<<14, 1<<16)), ok),
		ending("log-1-gb-in-one-call", run(ignored(sys("fd_write", i32(1), i32(0), i32(1000), i32(scratch)))).pages(17, 17).holding(vectors), ok),
		endless("log-byte-by-byte", run(forever(flood(1, 1, 1), flood(2, 1, 1)))),
		endless("log-forever", run(forever(flood(1, 1, 1<<16)))),
		ending("log-closed-and-reopened", run(ignored(sys("fd_close", i32(1))), ignored(sys("fd_close", i32(2))), flood(1, 10, 1000)), ok),
		ending("log-to-stdin", run(mustFail(sys("fd_write", i32(0), vector(i32(0), i32(100)), i32(scratch+8)))), ok),
	}
}

// calls give WASI what it can't use.
func calls() []hostile {
	var all []hostile
	for _, bad := range []int64{-1, 0x7fffffff, 65535, 0, 3, 4} {
		var c code
		for _, w := range wasi {
			if w.name == "proc_exit" || w.name == "poll_oneoff" && bad > 0 && bad < 10 { // these wait for what lies there
				continue
			}
			var args []code
			for _, p := range w.params {
				if p == 'I' {
					args = append(args, i64(bad))
				} else {
					args = append(args, i32(bad))
				}
			}
			c = do(c, sys(w.name, args...), drop)
		}
		all = append(all, ending(fmt.Sprintf("calls-with-%d-everywhere", bad), run(c), ok))
	}
	return append(all, append(sleeps(),
		ending("call-proc-raise", run(sys("proc_raise", i32(9)), drop), ok),
		ending("call-exit-with-minus-one", run(exit(i32(-1))), "exit -1"),
		ending("call-a-path-of-megabytes", run(mustFail(openFile(rootFD, do(i32(0), i32(30<<20)), 0))).pages(500, 500), ok),
		ending("call-sockets", run(
			mustFail(sys("sock_accept", i32(rootFD), i32(0), i32(scratch))), mustFail(sys("sock_shutdown", i32(rootFD), i32(3))),
			mustFail(sys("sock_send", i32(rootFD), vector(i32(0), i32(1)), i32(0), i32(scratch+8))),
			mustFail(sys("sock_recv", i32(rootFD), vector(i32(0), i32(1)), i32(0), i32(scratch+8), i32(scratch+12)))), ok),
		ending("call-listing-into-all-memory", run(ignored(sys("fd_readdir", i32(rootFD), i32(0), i32(65536), i64(0), i32(scratch)))), ok),
		ending("call-listing-from-far-away", run(ignored(sys("fd_readdir", i32(rootFD), i32(0), i32(65536), i64(1<<62), i32(scratch)))), ok),
		ending("call-trap-in-start-section", run(ret).also(0, unreachable).with(8, unsigned(uint64(len(wasi)+1))), trapped),
		ending("call-exit-in-start-section", run(unreachable).also(0, exit(i32(7))).with(8, unsigned(uint64(len(wasi)+1))), "exit 7"),
	)...)
}

// sleeps wait for years.
func sleeps() []hostile {
	subscription := make([]byte, 48)
	binary.LittleEndian.PutUint64(subscription[24:], 1<<62)
	years := func(n int) *program {
		t := &texts{all: []byte(stdstrings.Repeat(string(subscription), n))}
		return run(ignored(sys("poll_oneoff", i32(0), i32(scratch), i32(int64(n)), i32(scratch-8)))).holding(t)
	}
	return []hostile{
		ending("sleep-for-a-century", years(1), ok), // a deterministic job's clock passes at once
		withSpec(endless("sleep-for-a-century-of-real-time", years(1)), and(brief, realTime)),
		withSpec(endless("sleep-on-many-clocks", years(600)), and(brief, realTime)),
		ending("sleep-on-billions-of-clocks", run(mustFail(sys("poll_oneoff", i32(0), i32(scratch), i32(0x0fffffff), i32(scratch)))), ok),
	}
}

// strings are arguments and environments as large as they may be, and larger.
func strings() []hostile {
	all := run(
		ignored(sys("args_sizes_get", i32(scratch), i32(scratch+4))), mustWork(1, sys("args_get", i32(1<<20), i32(2<<20))),
		ignored(sys("environ_sizes_get", i32(scratch), i32(scratch+4))), mustWork(2, sys("environ_get", i32(1<<20), i32(2<<20))),
	).pages(100, 100)
	most := executor.MaxStrings
	empty := func(n int) func(*executor.Spec) { return func(s *executor.Spec) { s.Args = make([]string, n) } }
	one := func(n int) func(*executor.Spec) {
		return func(s *executor.Spec) { s.Env = map[string]string{"A": stdstrings.Repeat("x", n)} }
	}
	small := run(mustFail(sys("args_get", i32(65530), i32(65530))))
	return []hostile{
		withSpec(ending("arguments-by-the-thousand", all, ok), empty(most)),
		withSpec(ending("arguments-one-too-many", all, refused), empty(most+1)),
		withSpec(ending("environment-of-128-kib", all, ok), one(most-3)),
		withSpec(ending("environment-too-large", all, refused), one(most)),
		withSpec(ending("arguments-into-no-memory", small, ok), empty(1000)),
	}
}
