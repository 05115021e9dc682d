package cuda

import (
	"fmt"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
)

// arithmetic is what an operation computes from its operands, before the result is cut to its width.
var arithmetic = map[string]func(v []uint64) uint64{
	"mov.u32": first, "mov.u64": first, "cvt.u64.u32": first, "cvt.u32.u64": first, "cvta.to.global.u64": first,
	"add.u32": add, "add.u64": add, "sub.u32": func(v []uint64) uint64 { return v[0] - v[1] },
	"xor.b32": xor, "xor.b64": xor,
	"and.b32": and, "and.b64": and,
	"or.b64":  func(v []uint64) uint64 { return v[0] | v[1] },
	"shr.u32": shr, "shr.u64": shr, "shl.b32": shl, "shl.b64": shl,
	"mul.lo.u32": mul, "mul.lo.u64": mul, "mul.wide.u32": mul,
	"mul.hi.u32": func(v []uint64) uint64 { return v[0] * v[1] >> 32 },
	"mad.lo.u32": mad, "mad.lo.u64": mad,
	"mad.wide.u32": func(v []uint64) uint64 {
		sum, carry := bits.Add64(v[0]*v[1], v[2], 0)
		if carry != 0 {
			panic("a sum of products overflowed")
		}
		return sum
	},
	"selp.u32": func(v []uint64) uint64 {
		if v[2] != 0 {
			return v[0]
		}
		return v[1]
	},
	"setp.lt.u32": less, "setp.lt.u64": less,
	"setp.ge.u32": func(v []uint64) uint64 { return 1 - less(v) },
}

func first(v []uint64) uint64 { return v[0] }
func add(v []uint64) uint64   { return v[0] + v[1] }
func xor(v []uint64) uint64   { return v[0] ^ v[1] }
func and(v []uint64) uint64   { return v[0] & v[1] }
func shr(v []uint64) uint64   { return v[0] >> v[1] }
func shl(v []uint64) uint64   { return v[0] << v[1] }
func mul(v []uint64) uint64   { return v[0] * v[1] }
func mad(v []uint64) uint64   { return v[0]*v[1] + v[2] }

func less(v []uint64) uint64 {
	if v[0] < v[1] {
		return 1
	}
	return 0
}

// classes are those of an operation's registers, the result first: p, r (32 bits) and d (64).
var classes = map[string]string{
	"mov.u32": "rr", "mov.u64": "dd", "cvt.u64.u32": "dr", "cvt.u32.u64": "rd", "cvta.to.global.u64": "dd",
	"add.u32": "rrr", "add.u64": "ddd", "sub.u32": "rrr", "xor.b32": "rrr", "xor.b64": "ddd", "and.b32": "rrr",
	"and.b64": "ddd", "or.b64": "ddd", "shr.u32": "rrr", "shr.u64": "ddr", "shl.b32": "rrr", "shl.b64": "ddr",
	"mul.lo.u32": "rrr", "mul.lo.u64": "ddd", "mul.wide.u32": "drr", "mul.hi.u32": "rrr", "mad.lo.u32": "rrrr",
	"mad.lo.u64": "dddd", "mad.wide.u32": "drrd", "selp.u32": "rrrp", "setp.lt.u32": "prr", "setp.lt.u64": "pdd",
	"setp.ge.u32": "prr",
}

var (
	registerForm = regexp.MustCompile(`^%(p|r|rd)(\d+)$`)
	addressForm  = regexp.MustCompile(`^\[(%rd?\d+)(?:\+(\d+))?\]$`)
	vectorForm   = regexp.MustCompile(`^\{(%r\d+), (%r\d+), (%r\d+), (%r\d+)\}, (.*)$`)
)

// special registers, in the order of thread.special.
var special = map[string]int{"%tid.x": 0, "%tid.y": 1, "%ctaid.x": 2, "%ctaid.y": 3, "%ntid.x": 4}

// compile makes an instruction of a guard, an operation and its operands.
func (e *entry) compile(m []string, labels map[string]int) (func(*thread), error) {
	guard, operation, rest := m[1], m[2], m[3]
	switch {
	case operation == "bra":
		return e.branch(guard, rest, labels)
	case guard != "":
		return nil, fmt.Errorf("only branches have guards here")
	case operation == "ret" && rest == "":
		return func(t *thread) { t.done = true }, nil
	case operation == "bar.sync" && rest == "0":
		return func(t *thread) { t.waiting = true }, nil
	case operation == "ld.shared.v4.u32":
		return e.vector(rest)
	case strings.HasPrefix(operation, "ld."), strings.HasPrefix(operation, "st."):
		return e.move(operation, strings.Split(rest, ", "))
	}
	compute, kinds := arithmetic[operation], classes[operation]
	operands := strings.Split(rest, ", ")
	if compute == nil || len(operands) != len(kinds) {
		return nil, fmt.Errorf("it isn't known, or has the wrong number of operands")
	}
	to, err := e.register(operands[0], kinds[0])
	if err != nil {
		return nil, err
	}
	from := make([]func(*thread) uint64, len(operands)-1)
	for i, operand := range operands[1:] {
		if from[i], err = e.value(operand, kinds[i+1]); err != nil {
			return nil, err
		}
	}
	narrow := kinds[0] == 'r'
	return func(t *thread) {
		var v [3]uint64
		for i, f := range from {
			v[i] = f(t)
		}
		result := compute(v[:len(from)])
		if narrow {
			result = uint64(uint32(result))
		}
		t.set(to, result)
	}, nil
}

func (e *entry) branch(guard, label string, labels map[string]int) (func(*thread), error) {
	to, has := labels[label]
	if !has {
		return nil, fmt.Errorf("there is no label %s", label)
	}
	if guard == "" {
		return func(t *thread) { t.pc = to }, nil
	}
	p, err := e.value(guard, 'p')
	return func(t *thread) {
		if p(t) != 0 {
			t.pc = to
		}
	}, err
}

// register is the slot of a declared register of the class.
func (e *entry) register(operand string, kind byte) (int, error) {
	m := registerForm.FindStringSubmatch(operand)
	if m == nil || class(m[1]) != kind {
		return 0, fmt.Errorf("%s is no register of class %c", operand, kind)
	}
	number, _ := strconv.Atoi(m[2])
	if number >= e.slots[kind] {
		return 0, fmt.Errorf("%s isn't declared", operand)
	}
	return e.base(kind) + number, nil
}

func (e *entry) base(kind byte) int {
	switch kind {
	case 'p':
		return 0
	case 'r':
		return e.slots['p']
	}
	return e.slots['p'] + e.slots['r']
}

// value reads an operand: a register, a special one, the address of shared memory or a number.
func (e *entry) value(operand string, kind byte) (func(*thread) uint64, error) {
	if i, has := special[operand]; has && kind == 'r' {
		return func(t *thread) uint64 { return t.special[i] }, nil
	}
	if offset, has := e.shared[operand]; has && kind == 'r' {
		return func(*thread) uint64 { return offset }, nil
	}
	if number, err := strconv.ParseUint(operand, 0, 64); err == nil && kind != 'p' {
		if kind == 'r' && number>>32 != 0 {
			return nil, fmt.Errorf("%s has more than 32 bits", operand)
		}
		return func(*thread) uint64 { return number }, nil
	}
	slot, err := e.register(operand, kind)
	return func(t *thread) uint64 { return t.get(slot) }, err
}

// move loads or stores.
func (e *entry) move(operation string, operands []string) (func(*thread), error) {
	parts := strings.Split(operation, ".")
	if len(parts) != 3 || len(operands) != 2 || (parts[2] != "u32" && parts[2] != "u64") {
		return nil, fmt.Errorf("it isn't known")
	}
	bytes, kind := 4, byte('r')
	if parts[2] == "u64" {
		bytes, kind = 8, 'd'
	}
	if operation[:2] == "st" {
		operands[0], operands[1] = operands[1], operands[0]
	}
	slot, err := e.register(operands[0], kind)
	if err != nil {
		return nil, err
	}
	if parts[1] == "param" {
		for i, p := range e.params {
			if operands[1] == "["+p.name+"]" && p.bytes == bytes && parts[0] == "ld" {
				return func(t *thread) { t.set(slot, t.params[i]) }, nil
			}
		}
		return nil, fmt.Errorf("%s is no parameter of that size", operands[1])
	}
	address, err := e.address(operands[1], parts[1])
	if err != nil {
		return nil, err
	}
	shared := parts[1] == "shared"
	if parts[0] == "st" {
		return func(t *thread) { t.memory(shared).store(address(t), bytes, t.get(slot)) }, nil
	}
	return func(t *thread) { t.set(slot, t.memory(shared).load(address(t), bytes)) }, nil
}

// address is a register, of 64 bits for global memory and 32 for shared, and maybe an offset.
func (e *entry) address(operand, space string) (func(*thread) uint64, error) {
	m := addressForm.FindStringSubmatch(operand)
	kind := map[string]byte{"global": 'd', "shared": 'r'}[space]
	if m == nil || kind == 0 {
		return nil, fmt.Errorf("%s is no address in %s memory", operand, space)
	}
	offset, _ := strconv.ParseUint(m[2], 10, 32)
	slot, err := e.register(m[1], kind)
	return func(t *thread) uint64 { return t.get(slot) + offset }, err
}

func (e *entry) vector(operands string) (func(*thread), error) {
	m := vectorForm.FindStringSubmatch(operands)
	if m == nil {
		return nil, fmt.Errorf("it has other operands than four registers and an address")
	}
	address, err := e.address(m[5], "shared")
	if err != nil {
		return nil, err
	}
	var slots [4]int
	for i := range slots {
		if slots[i], err = e.register(m[i+1], 'r'); err != nil {
			return nil, err
		}
	}
	return func(t *thread) {
		at := address(t)
		if at%16 != 0 {
			panic("a vector isn't aligned")
		}
		for i, slot := range slots {
			t.set(slot, t.shared.load(at+4*uint64(i), 4))
		}
	}, nil
}
