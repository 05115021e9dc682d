package cuda

import "fmt"

// multiplyKernel computes rows first, first+1, ... of out = left·right, all of
// order n: 64 × 64 entries in each block of 16 × 16 threads, 4 × 4 in each
// thread. Parameters: left, right, out, n, first.
func multiplyKernel() string {
	a := &asm{name: "multiply"}
	left, right, out := a.pointer(), a.pointer(), a.pointer()
	n, first := a.param32(), a.param32()
	rows, columns := a.array(depth*leftPitch), a.array(depth*pitch)
	tx, ty := a.to32("mov.u32", "%tid.x"), a.to32("mov.u32", "%tid.y")
	item := a.to32("mad.lo.u32", ty, multiplySide, tx)
	row0 := a.to32("mad.lo.u32", a.to32("mov.u32", "%ctaid.y"), tile, first)
	column0 := a.to32("mul.lo.u32", a.to32("mov.u32", "%ctaid.x"), tile)
	var sums [4][4]string
	for i := range sums {
		for j := range sums[i] {
			sums[i][j] = a.to64("mov.u64", 0)
		}
	}
	myRows := a.to32("mad.lo.u32", ty, 16, rows)
	myColumns := a.to32("mad.lo.u32", tx, 16, columns)

	k0, loop, p := a.to32("mov.u32", 0), a.label(), a.predicate()
	a.here(loop)
	for slot := 0; slot < tile*depth; slot += multiplySide * multiplySide {
		e := a.to32("add.u32", item, slot)
		k, row := a.to32("and.b32", e, depth-1), a.to32("shr.u32", e, 4)
		entry := a.entry(left, n, a.to32("add.u32", row0, row), a.to32("add.u32", k0, k))
		a.op("st.shared.u32 [%s], %s", a.to32("mad.lo.u32", k, leftPitch, a.to32("mad.lo.u32", row, 4, rows)), entry)
		k, column := a.to32("shr.u32", e, 6), a.to32("and.b32", e, tile-1)
		entry = a.entry(right, n, a.to32("add.u32", k0, k), a.to32("add.u32", column0, column))
		a.op("st.shared.u32 [%s], %s", a.to32("mad.lo.u32", k, pitch, a.to32("mad.lo.u32", column, 4, columns)), entry)
	}
	a.op("bar.sync 0")
	for k := 0; k < depth; k++ {
		a.addProducts(&sums, k, myRows, myColumns)
	}
	a.op("bar.sync 0")
	a.op("add.u32 %s, %s, %d", k0, k0, depth)
	a.op("setp.lt.u32 %s, %s, %s", p, k0, n)
	a.op("@%s bra %s", p, loop)

	row, column := a.to32("mad.lo.u32", ty, 4, row0), a.to32("mad.lo.u32", tx, 4, column0)
	for i := range sums {
		for j, sum := range sums[i] {
			a.put(out, n, a.to32("add.u32", row, i), a.to32("add.u32", column, j), a.reduce(sum))
		}
	}
	return a.text()
}

// addProducts adds to the 4 × 4 sums the products of column k of the left tile and row k of
// the right one. Before each fourth it folds: four products and a folded sum stay under 2^64.
func (a *asm) addProducts(sums *[4][4]string, k int, rows, columns string) {
	l, r := a.four(shift(rows, k*leftPitch)), a.four(shift(columns, k*pitch))
	for i := range sums {
		for j, sum := range sums[i] {
			if k%4 == 0 {
				a.op("mov.u64 %s, %s", sum, a.fold(sum))
			}
			a.op("mad.wide.u32 %s, %s, %s, %s", sum, l[i], r[j], sum)
		}
	}
}

// four loads four words of shared memory.
func (a *asm) four(address string) (w [4]string) {
	for i := range w {
		w[i] = a.word()
	}
	a.op("ld.shared.v4.u32 {%s, %s, %s, %s}, %s", w[0], w[1], w[2], w[3], address)
	return w
}

// shift is the operand for what stands some bytes behind an address.
func shift(register string, bytes int) string { return fmt.Sprintf("[%s+%d]", register, bytes) }

// entry loads an entry of a matrix of order n, or 0 outside of it.
func (a *asm) entry(matrix, n, row, column string) string {
	value, outside := a.to32("mov.u32", 0), a.label()
	a.within(n, row, column, outside)
	a.op("ld.global.u32 %s, [%s]", value, a.address(matrix, n, row, column))
	a.here(outside)
	return value
}

// put stores an entry unless it is outside.
func (a *asm) put(matrix, n, row, column, value string) {
	outside := a.label()
	a.within(n, row, column, outside)
	a.op("st.global.u32 [%s], %s", a.address(matrix, n, row, column), value)
	a.here(outside)
}

// within goes to outside unless row and column are under n.
func (a *asm) within(n, row, column, outside string) {
	for _, index := range []string{row, column} {
		p := a.predicate()
		a.op("setp.ge.u32 %s, %s, %s", p, index, n)
		a.op("@%s bra %s", p, outside)
	}
}

// address is that of an entry; its number fits 32 bits, because n is at most 16,384.
func (a *asm) address(matrix, n, row, column string) string {
	return a.to64("add.u64", matrix, a.to64("mul.wide.u32", a.to32("mad.lo.u32", row, n, column), 4))
}
