package hostile_test

import (
	"encoding/binary"
	"slices"
	stdstrings "strings"
)

// The sections of the smallest command, to be replaced one by one.
var (
	oneType   = section(1, list([]byte{0x60, 0, 0}))
	oneFunc   = section(3, list([]byte{0}))
	startName = section(7, list(append(name("_start"), 0, 0)))
	emptyBody = section(10, list(body(0, nil)))
)

func importing(from, what string, desc ...byte) []byte {
	return module(oneType, section(2, list(slices.Concat(name(from), name(what), desc))), oneFunc,
		section(7, list(append(name("_start"), 0, 1))), emptyBody)
}

// of is the smallest command with another body.
func of(locals uint64, c code) []byte {
	return module(oneType, oneFunc, startName, section(10, list(body(locals, c))))
}

// invalids are no modules, or none that can run here.
func invalids() []hostile {
	whole := run(ret).encode()
	no := func(name string, m []byte) hostile { return raw("invalid-"+name, m, refused) }
	return []hostile{
		no("empty", nil), no("text", []byte("#!/bin/sh\nrm -rf /\n")), no("elf", []byte("\x7fELF\x02\x01\x01\x00")),
		no("header-only", module()), no("component", []byte("\x00asm\x0d\x00\x01\x00")), no("version", []byte("\x00asm\x02\x00\x00\x00")),
		no("cut-in-half", whole[:len(whole)/2]), no("cut-at-the-end", whole[:len(whole)-1]), no("trailing", append(slices.Clone(whole), 1)),
		no("section-past-the-end", module([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})),
		no("section-twice", module(oneType, oneType, oneFunc, startName, emptyBody)), no("section-unknown", module(section(99, []byte{0}))),
		no("number-too-long", append(module(), 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1)),
		no("more-functions-than-bodies", module(oneType, section(3, list([]byte{0}, []byte{0})), startName, emptyBody)),
		no("billions-of-functions", module(oneType, section(3, unsigned(4_000_000_000)), startName, emptyBody)),
		no("billions-of-types", module(section(1, unsigned(4_000_000_000)))), no("billions-of-locals", of(4_000_000_000, nil)),
		no("opcode", of(0, op(0xff))), no("stack-underflow", of(0, drop)), no("wrong-types", of(0, do(i64(1), i32(1), op(0x6a), drop))),
		no("branch-to-nowhere", of(0, op(0x0c, 99))), no("call-to-nowhere", of(0, op(0x10, 99))), no("no-end", module(oneType, oneFunc, startName, section(10, list(sized([]byte{0}))))),
		no("import-of-the-system", importing("env", "system", 0, 0)), no("import-of-a-memory", importing("env", "memory", 2, 0, 1)),
		no("import-of-a-table", importing("env", "table", 1, funcref, 0, 1)), no("import-of-itself", importing("job", "_start", 0, 0)),
		no("import-from-nowhere", importing("", "", 0, 0)), no("import-of-old-wasi", importing("wasi_unstable", "fd_write", 0, 0)),
		no("import-with-other-types", importing("wasi_snapshot_preview1", "fd_write", 0, 0)),
		no("start-takes-values", module(section(1, list([]byte{0x60, 1, i32t, 0})), oneFunc, startName, emptyBody)),
		no("start-is-a-memory", module(oneType, oneFunc, section(5, list([]byte{0, 1})), section(7, list(append(name("_start"), 2, 0))), emptyBody)),
	}
}

// features are of proposals that souk has, and that it hasn't.
func features() []hostile {
	memory := func(flags byte) []byte {
		return module(oneType, oneFunc, section(5, list([]byte{flags, 1, 1})), startName, emptyBody)
	}
	simd := slices.Concat(op(0xfd, 12), make([]byte, 16), op(0xfd, 12), make([]byte, 16), op(0xfd), unsigned(174), drop)
	return []hostile{
		raw("feature-simd", of(0, simd), ok),
		raw("feature-shared-memory", memory(3), refused), raw("feature-64-bit-memory", memory(5), refused),
		raw("feature-two-memories", module(oneType, oneFunc, section(5, list([]byte{0, 1}, []byte{0, 1})), startName, emptyBody), refused),
		raw("feature-atomic-wait", of(0, do(i32(0), i32(0), i64(-1), op(0xfe, 1, 2, 0), drop)), refused),
		raw("feature-tail-call", of(0, op(0x12, 0)), refused), raw("feature-exceptions", of(0, op(0x08, 0)), refused),
		raw("feature-tags", module(oneType, oneFunc, section(13, list([]byte{0, 0})), startName, emptyBody), refused),
	}
}

// bombs are small or cheap to send, and dear to compile.
func bombs() []hostile {
	nop := do(i32(0), drop)
	many := func(n int, one []byte) []byte { return slices.Concat(unsigned(uint64(n)), slices.Repeat(one, n)) }
	functions := func(n int, b []byte) []byte {
		return module(oneType, section(3, many(n, []byte{0})), startName, section(10, many(n, b)))
	}
	start := func(sections ...[]byte) []byte {
		return module(slices.Concat([][]byte{oneType, oneFunc}, sections, [][]byte{startName, emptyBody})...)
	}
	table := slices.Concat(op(0x02, void), i32(0), op(0x0e), many(1_000_000, []byte{0}), unsigned(0), op(0x0b))
	nested := slices.Concat(slices.Repeat(op(0x02, void), 50_000), slices.Repeat(op(0x0b), 50_000))
	ifs := slices.Concat(slices.Repeat(do(i32(1), op(0x04, void)), 20_000), slices.Repeat(op(0x0b), 20_000))
	var merging code // each block brings new values of all locals together
	for i := range 3000 {
		local := unsigned(uint64(i))
		merging = do(merging, i32(1), op(0x04, void), i32(7), slices.Concat(op(0x21), local), op(0x0b))
	}
	globals := many(300_000, slices.Concat([]byte{i32t, 1}, i32(0), []byte{0x0b}))
	bomb := func(name string, m []byte) hostile {
		return hostile{name: "bomb-" + name, raw: m, ends: []string{refused, ok}, bomb: true}
	}
	return []hostile{
		bomb("many-functions", functions(150_000, body(0, nop))),
		bomb("a-huge-function", of(0, slices.Repeat(nop, 1_000_000))),
		bomb("a-huge-branch-table", of(0, table)),
		bomb("deep-nesting", of(0, nested)), bomb("deep-ifs", of(0, ifs)),
		bomb("many-locals", of(49_000, slices.Repeat(do(get(0), set(1)), 1000))),
		bomb("locals-that-merge", of(3000, slices.Concat(op(0x03, void), merging, op(0x0b)))),
		bomb("wide-functions", module(section(1, list([]byte{0x60, 0, 0}, slices.Concat([]byte{0x60}, sized(slices.Repeat([]byte{i32t}, 1000)), []byte{0}))),
			section(3, slices.Concat(unsigned(201), []byte{0}, slices.Repeat([]byte{1}, 200))), startName,
			section(10, slices.Concat(unsigned(201), body(0, nil), slices.Repeat(body(0, nil), 200))))),
		bomb("big-data", module(oneType, oneFunc, section(5, list(append([]byte{0}, unsigned(200)...))), startName, emptyBody,
			section(11, list(segment(0, make([]byte, 12<<20)))))),
		bomb("many-data-segments", module(oneType, oneFunc, section(5, list([]byte{0, 1})), startName, emptyBody,
			section(11, many(300_000, segment(0, []byte{1}))))),
		bomb("many-globals", start(section(6, globals))),
		bomb("many-types", module(section(1, many(500_000, []byte{0x60, 0, 0})), oneFunc, startName, emptyBody)),
		bomb("long-names", module(oneType, oneFunc, section(7, list(append(name("_start"), 0, 0), append(name(stdstrings.Repeat("x", 8<<20)), 0, 0))), emptyBody)),
		bomb("custom-section", module(oneType, oneFunc, startName, emptyBody, section(0, append(name("name"), make([]byte, 16<<20)...)))),
		bomb("false-debug-names", module(oneType, oneFunc, startName, emptyBody, section(0, slices.Concat(name("name"), []byte{1}, sized(binary.AppendUvarint(nil, 1<<31)))))),
	}
}
