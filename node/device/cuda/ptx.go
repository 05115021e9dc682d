package cuda

import "strings"

// What internal/modmath specifies, in PTX. Version 6.0 is that of CUDA 9, sm_50
// the first Maxwell; the driver compiles it for what is there.
const header = ".version 6.0\n.target sm_50\n.address_size 64\n\n"

const golden = "0x9e3779b97f4a7c15"

// Threads of a block, along x; multiply's are square.
const (
	entriesThreads = 256
	fillThreads    = 64
	sweepThreads   = 128 // the lanes of a sum
	multiplySide   = 16
)

const (
	tile      = 64 // rows and columns of the product that a block of threads computes
	depth     = 16 // of the factors' tiles that it holds at a time
	leftPitch = (tile + 4) * 4
	pitch     = tile * 4
)

// ptx is the text of all kernels.
func ptx() string {
	return header + strings.Join([]string{entriesKernel(), multiplyKernel(), fillKernel(), sweepKernel(), chaseKernel()}, "\n")
}

// entriesKernel makes a matrix, four entries in each thread: m, count, k0, k1, c1, c2, c3.
func entriesKernel() string {
	a := &asm{name: "entries"}
	m, count := a.pointer(), a.param64()
	k0, k1 := a.param32(), a.param32()
	c1, c2, c3 := a.param32(), a.param32(), a.param32()
	at := a.item()
	first := a.to64("shl.b64", at, 2)
	a.unless(first, count)
	c0 := a.to32("cvt.u32.u64", at)
	for range 10 {
		high0, low0 := a.to32("mul.hi.u32", c0, "0xd2511f53"), a.to32("mul.lo.u32", c0, "0xd2511f53")
		high1, low1 := a.to32("mul.hi.u32", c2, "0xcd9e8d57"), a.to32("mul.lo.u32", c2, "0xcd9e8d57")
		c0, c1 = a.to32("xor.b32", a.to32("xor.b32", high1, c1), k0), low1
		c2, c3 = a.to32("xor.b32", a.to32("xor.b32", high0, c3), k1), low0
		k0, k1 = a.to32("add.u32", k0, "0x9e3779b9"), a.to32("add.u32", k1, "0xbb67ae85")
	}
	address := a.to64("add.u64", m, a.to64("shl.b64", first, 2))
	for i, c := range []string{c0, c1, c2, c3} {
		a.unless(a.to64("add.u64", first, i), count)
		a.op("st.global.u32 [%s+%d], %s", address, 4*i, a.reduce(a.to64("cvt.u64.u32", c)))
	}
	return a.text()
}

// fillKernel makes blocks, one in each thread: memory, at, first, count, s0, s1, s2, s3. Those from
// number first on stand from block at on.
func fillKernel() string {
	a := &asm{name: "fill"}
	memory, at, first, count := a.pointer(), a.param64(), a.param64(), a.param64()
	i := a.item()
	a.unless(i, count)
	w := a.to64("add.u64", memory, a.to64("shl.b64", a.to64("add.u64", at, i), 16))
	start := a.mix(a.to64("add.u64", a.to64("add.u64", first, i), a.param64()))
	for range 3 {
		start = a.mix(a.to64("xor.b64", start, a.param64()))
	}
	a.op("st.global.u64 [%s], %s", w, start)

	x, j, loop, p := a.to64("mov.u64", start), a.to32("mov.u32", 1), a.label(), a.predicate()
	a.here(loop)
	high := a.to32("cvt.u32.u64", a.to64("shr.u64", x, 32))
	far := a.wordAt(w, a.to32("mul.hi.u32", high, j))
	near := a.wordAt(w, a.to32("mul.hi.u32", a.to32("cvt.u32.u64", x), j))
	sum := a.to64("add.u64", a.to64("mad.lo.u64", far, golden, x), near)
	next := a.mix(a.to64("add.u64", sum, a.to64("cvt.u64.u32", j)))
	a.op("st.global.u64 [%s], %s", a.to64("add.u64", w, a.to64("mul.wide.u32", j, 8)), next)
	a.op("mov.u64 %s, %s", x, next)
	a.op("add.u32 %s, %s, 1", j, j)
	a.op("setp.lt.u32 %s, %s, 8192", p, j)
	a.op("@%s bra %s", p, loop)
	return a.text()
}

// wordAt loads the 64-bit word of number index, which is of 32 bits.
func (a *asm) wordAt(base, index string) string {
	return a.to64("ld.global.u64", "["+a.to64("add.u64", base, a.to64("mul.wide.u32", index, 8))+"]")
}

// sweepKernel sums up a block in each block of threads: memory, at, sums, nonce.
func sweepKernel() string {
	a := &asm{name: "sweep"}
	memory, at, sums, nonce := a.pointer(), a.param64(), a.pointer(), a.param64()
	part := a.array(8 * sweepThreads)
	lane, block := a.to32("mov.u32", "%tid.x"), a.to64("cvt.u64.u32", a.to32("mov.u32", "%ctaid.x"))
	t := a.to64("cvt.u64.u32", lane)
	by := a.to64("or.b64", a.mix(a.to64("xor.b64", nonce, golden)), 1)
	sum := a.to64("mov.u64", a.mix(a.to64("mad.lo.u64", t, golden, nonce)))
	w := a.to64("add.u64", memory, a.to64("shl.b64", a.to64("add.u64", at, block), 16))
	address := a.to64("add.u64", w, a.to64("shl.b64", t, 3))
	end, loop, p := a.to64("add.u64", address, 8*8192), a.label(), a.predicate()
	a.here(loop)
	mixed := a.to64("mul.lo.u64", a.to64("xor.b64", sum, a.to64("ld.global.u64", "["+address+"]")), by)
	a.op("mov.u64 %s, %s", sum, a.shiftXor(mixed, 32))
	a.op("add.u64 %s, %s, %d", address, address, 8*sweepThreads)
	a.op("setp.lt.u64 %s, %s, %s", p, address, end)
	a.op("@%s bra %s", p, loop)

	mine := a.to32("add.u32", part, a.to32("shl.b32", lane, 3))
	total := a.mix(a.to64("add.u64", sum, t))
	a.op("st.shared.u64 [%s], %s", mine, total)
	for width := sweepThreads / 2; width > 0; width /= 2 {
		a.op("bar.sync 0")
		idle, q := a.label(), a.predicate()
		a.op("setp.ge.u32 %s, %s, %d", q, lane, width)
		a.op("@%s bra %s", q, idle)
		total = a.to64("add.u64", a.to64("ld.shared.u64", "["+mine+"]"), a.to64("ld.shared.u64", shift(mine, 8*width)))
		a.op("st.shared.u64 [%s], %s", mine, total)
		a.here(idle)
	}
	one := a.to64("mov.u64", 1)
	a.unless(t, one)
	a.op("st.global.u64 [%s], %s", a.to64("add.u64", sums, a.to64("shl.b64", block, 3)), total)
	return a.text()
}

// chaseKernel walks in one thread: memory, blocks, words, steps, nonce, start.
func chaseKernel() string {
	a := &asm{name: "chase"}
	memory, blocks, words := a.pointer(), a.param64(), a.pointer()
	steps, nonce := a.to64("cvt.u64.u32", a.param32()), a.param64()
	previous := a.param64()
	k, loop, p := a.to64("mov.u64", 0), a.label(), a.predicate()
	a.here(loop)
	h := a.mix(a.to64("xor.b64", a.mix(a.to64("mad.lo.u64", k, golden, nonce)), previous))
	block := a.to64("shr.u64", a.to64("mul.lo.u64", a.to64("shr.u64", h, 32), blocks), 32)
	w := a.to64("add.u64", memory, a.to64("shl.b64", block, 16))
	word := a.to64("shl.b64", a.to64("and.b64", h, 8191), 3)
	a.op("ld.global.u64 %s, [%s]", previous, a.to64("add.u64", w, word))
	a.op("st.global.u64 [%s], %s", a.to64("add.u64", words, a.to64("shl.b64", k, 3)), previous)
	a.op("add.u64 %s, %s, 1", k, k)
	a.op("setp.lt.u64 %s, %s, %s", p, k, steps)
	a.op("@%s bra %s", p, loop)
	return a.text()
}
