package hostile_test

import "souk/node/executor"

// loops never end by themselves.
func loops() []hostile {
	clock := sys("clock_time_get", i32(0), i64(0), i32(scratch))
	starting := run(ret).also(0, forever())
	return []hostile{
		endless("loop-empty", run(forever())),
		endless("loop-counting", run(forever(add(0, 1)))),
		endless("loop-nested", run(forever(forever(forever(add(0, 1)))))),
		endless("loop-through-blocks", run(forever(op(0x02, void, 0x41, 0, 0x0d, 0, 0x0b)))),
		endless("loop-by-table", run(op(0x03, void), i32(0), op(0x0e, 1, 0, 0, 0x0b))),
		endless("loop-storing", run(forever(i32(scratch), get(0), store, add(0, 1)))),
		endless("loop-calling", run(forever(call(1))).also(0, ret)),
		endless("loop-dividing", run(i32(1), set(0), forever(get(0), i32(3), op(0x6e), drop))),
		endless("loop-filling-memory", run(forever(i32(0), i32(1), i32(60000), op(0xfc, 0x0b, 0))).pages(1, 1)),
		endless("loop-of-yields", run(forever(sys("sched_yield"), drop))),
		endless("loop-of-clocks", run(forever(clock, drop))),
		endless("loop-of-randomness", run(forever(sys("random_get", i32(0), i32(65536)), drop))),
		endless("loop-of-bad-calls", run(forever(sys("fd_read", i32(99), i32(0), i32(1), i32(0)), drop))),
		endless("loop-reading-nothing", run(forever(sys("fd_read", i32(0), vector(i32(0), i32(100)), i32(scratch+8)), drop))),
		endless("loop-in-start-section", starting.with(8, unsigned(uint64(len(wasi)+1)))),
		withSpec(endless("loop-with-real-time", run(forever(clock, drop))), and(brief, realTime)),
	}
}

func withSpec(h hostile, adjust ...func(s *executor.Spec)) hostile {
	h.adjust = and(adjust...)
	return h
}

// recursions go as deep as they can.
func recursions() []hostile {
	table := list([]byte{funcref, 0, 1}) // one table of one
	first := append([]byte{0}, i32(0)...)
	first = append(first, 0x0b)
	element := list(append(first, list(unsigned(uint64(len(wasi))))...))
	return []hostile{
		ending("recursion", run(call(0)), trapped),
		ending("recursion-of-two", run(call(1)).also(0, call(0)), trapped),
		ending("recursion-with-many-locals", run(call(1)).also(20_000, get(7), drop, call(1)), trapped),
		ending("recursion-indirect", run(i32(0), op(0x11, 0, 0)).with(4, table).with(9, element), trapped),
		ending("recursion-with-calls", run(sys("sched_yield"), drop, call(0)), trapped),
		ending("recursion-in-start-section", run(ret).also(0, call(1)).with(8, unsigned(uint64(len(wasi)+1))), trapped),
	}
}

// memories ask for more than they have.
func memories() []hostile {
	hugeTable := func(n uint64) []byte { return list(append([]byte{funcref, 0}, unsigned(n)...)) }
	growTable := do(op(0xd0, funcref), i32(1<<20), op(0xfc, 0x0f, 0))
	hidden := func(pages uint64) []byte {
		return module(section(1, list([]byte{0x60, 0, 0})), section(3, list([]byte{0})), section(5, list(append([]byte{0}, unsigned(pages)...))),
			section(7, list(append(name("_start"), 0, 0))), section(10, list(body(0, nil))))
	}
	return []hostile{
		ending("memory-asks-for-all", run(i32(65535), grow, drop).pages(1, 65536), ok),
		ending("memory-then-traps", run(forever(i32(1), grow, i32(-1), equal, when(unreachable))).pages(1, 65536), limitMemory),
		ending("memory-then-fails", run(forever(i32(16), grow, i32(-1), equal, when(exit(i32(3))))).pages(1, 65536), limitMemory),
		endless("memory-asks-forever", run(forever(i32(1), grow, drop)).pages(1, 65536)),
		ending("memory-touches-all", run(i32(500), grow, drop, times(0, 500, get(0), i32(65536), op(0x6c), i32(1), store)).pages(1, 65536), ok),
		ending("memory-out-of-bounds", run(i32(-4), i32(1), store), trapped),
		ending("memory-grows-by-minus-one", run(i32(-1), grow, i32(-1), op(0x47), when(exit(i32(workedExit)))).pages(1, 65536), ok),
		ending("memory-starts-with-all", run(ret).pages(65536, 65536), refused),
		raw("memory-hidden-starts-with-all", hidden(65536), limitMemory),
		raw("memory-past-4-gib", hidden(65537), refused),
		ending("memory-filled-out-of-bounds", run(i32(0), i32(1), i32(-1), op(0xfc, 0x0b, 0)), trapped),
		ending("table-of-millions", run(ret).with(4, hugeTable(100_000_000)), ok, limitMemory),
		ending("table-of-too-many", run(ret).with(4, hugeTable(4_000_000_000)), refused),
		ending("table-grows", run(forever(growTable, i32(-1), equal, when(unreachable))).with(4, hugeTable(1)), limitMemory, trapped),
		ending("table-grows-by-all", run(op(0xd0, funcref), i32(-1), op(0xfc, 0x0f, 0), i32(-1), op(0x47), when(exit(i32(workedExit)))).with(4, hugeTable(1)), ok),
		ending("tables-by-thousands", run(ret).with(4, list(repeat(2000, append([]byte{funcref, 0}, unsigned(1_000_000)...))...)), limitMemory),
		ending("data-out-of-bounds", run(ret).with(11, list(segment(65530, make([]byte, 100)))), trapped, refused),
		ending("descriptor-renumbered-far-away", run(
			mustWork(1, openFile(3, new(texts).at("."), 2)), sys("fd_renumber", opened, i32(0x7fffffff)), drop,
		).holding(dot()), limitMemory),
	}
}

func repeat(n int, one []byte) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = one
	}
	return all
}

func dot() *texts {
	t := new(texts)
	t.at(".")
	return t
}
