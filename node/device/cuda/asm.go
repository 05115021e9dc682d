package cuda

import (
	"fmt"
	"strings"
)

// asm writes one PTX kernel: it hands out virtual registers, as many as are
// asked for (the driver's compiler assigns real ones), and declares them.
type asm struct {
	name   string
	params []string // declarations
	shared []string // declarations
	body   strings.Builder

	words, longs, predicates, labels int
}

// op writes one instruction.
func (a *asm) op(format string, operands ...any) {
	fmt.Fprintf(&a.body, "\t"+format+";\n", operands...)
}

// The next register of 32 bits, of 64 bits, and of one.
func (a *asm) word() string      { a.words++; return fmt.Sprintf("%%r%d", a.words) }
func (a *asm) long() string      { a.longs++; return fmt.Sprintf("%%rd%d", a.longs) }
func (a *asm) predicate() string { a.predicates++; return fmt.Sprintf("%%p%d", a.predicates) }

// label is a new name for a place; here puts it.
func (a *asm) label() string { a.labels++; return fmt.Sprintf("%s_%d", a.name, a.labels) }

func (a *asm) here(label string) { fmt.Fprintf(&a.body, "%s:\n", label) }

// to32 and to64 write an instruction whose result is a new register.
func (a *asm) to32(operation string, operands ...any) string {
	return a.into(a.word(), operation, operands)
}

func (a *asm) to64(operation string, operands ...any) string {
	return a.into(a.long(), operation, operands)
}

func (a *asm) into(result, operation string, operands []any) string {
	a.op(operation+" %v"+strings.Repeat(", %v", len(operands)), append([]any{result}, operands...)...)
	return result
}

// param32, param64 and pointer declare the kernel's next parameter and load it.
func (a *asm) param32() string { return a.to32("ld.param.u32", a.param(".u32")) }

func (a *asm) param64() string { return a.to64("ld.param.u64", a.param(".u64")) }

func (a *asm) pointer() string { return a.to64("cvta.to.global.u64", a.param64()) }

func (a *asm) param(kind string) string {
	name := fmt.Sprintf("%s_param_%d", a.name, len(a.params))
	a.params = append(a.params, "\t.param "+kind+" "+name)
	return "[" + name + "]"
}

// array declares shared memory and returns its address.
func (a *asm) array(bytes int) string {
	name := fmt.Sprintf("%s_shared_%d", a.name, len(a.shared))
	a.shared = append(a.shared, fmt.Sprintf("\t.shared .align 16 .b8 %s[%d];\n", name, bytes))
	return a.to32("mov.u32", name)
}

// item is the number of this thread among all along x, in 64 bits.
func (a *asm) item() string {
	index := a.to32("mov.u32", "%ctaid.x")
	width := a.to32("mov.u32", "%ntid.x")
	return a.to64("mad.wide.u32", index, width, a.to64("cvt.u64.u32", a.to32("mov.u32", "%tid.x")))
}

// unless ends the thread if x >= limit, both of 64 bits.
func (a *asm) unless(x, limit string) {
	p, inside := a.predicate(), a.label()
	a.op("setp.lt.u64 %s, %s, %s", p, x, limit)
	a.op("@%s bra %s", p, inside)
	a.op("ret")
	a.here(inside)
}

// mix is the finaliser of splitmix64.
func (a *asm) mix(z string) string {
	z = a.to64("mul.lo.u64", a.shiftXor(z, 30), "0xbf58476d1ce4e5b9")
	z = a.to64("mul.lo.u64", a.shiftXor(z, 27), "0x94d049bb133111eb")
	return a.shiftXor(z, 31)
}

func (a *asm) shiftXor(z string, by int) string {
	return a.to64("xor.b64", z, a.to64("shr.u64", z, by))
}

// fold returns a smaller number congruent to x modulo P.
func (a *asm) fold(x string) string {
	return a.to64("add.u64", a.to64("and.b64", x, "0x7fffffff"), a.to64("shr.u64", x, 31))
}

// reduce returns x modulo P in 32 bits.
func (a *asm) reduce(x string) string {
	folded := a.to32("cvt.u32.u64", a.fold(a.fold(x)))
	less, p := a.to32("sub.u32", folded, "0x7fffffff"), a.predicate()
	a.op("setp.ge.u32 %s, %s, 0x7fffffff", p, folded)
	return a.to32("selp.u32", less, folded, p)
}

// text is the whole kernel.
func (a *asm) text() string {
	return fmt.Sprintf(".visible .entry %s(\n%s\n)\n{\n\t.reg .pred %%p<%d>;\n\t.reg .b32 %%r<%d>;\n\t.reg .b64 %%rd<%d>;\n%s%s\tret;\n}\n",
		a.name, strings.Join(a.params, ",\n"), a.predicates+1, a.words+1, a.longs+1, strings.Join(a.shared, ""), a.body.String())
}
