package hostile_test

import "encoding/binary"

// code is a run of instructions.
type code []byte

func do(parts ...code) (all code) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func unsigned(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// signed is LEB128 of a signed number.
func signed(n int64) (out []byte) {
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// The types of values.
const (
	i32t    = 0x7f
	i64t    = 0x7e
	funcref = 0x70
	void    = 0x40
)

func op(b ...byte) code   { return b }
func i32(n int64) code    { return append(code{0x41}, signed(n)...) }
func i64(n int64) code    { return append(code{0x42}, signed(n)...) }
func get(local byte) code { return code{0x20, local} }
func set(local byte) code { return code{0x21, local} }

// add is local += n, of an i32.
func add(local byte, n int64) code {
	return do(get(local), i32(n), op(0x6a), set(local))
}

var (
	drop        = op(0x1a)
	unreachable = op(0x00)
	ret         = op(0x0f)
	grow        = op(0x40, 0) // memory.grow
	store       = op(0x36, 2, 0)
	store8      = op(0x3a, 0, 0)
	equal       = op(0x46)
	not         = op(0x45)
	below       = op(0x49) // unsigned
)

func forever(body ...code) code { return do(op(0x03, void), do(body...), op(0x0c, 0, 0x0b)) }

// when runs body if what lies on the stack is not zero.
func when(body ...code) code { return do(op(0x04, void), do(body...), op(0x0b)) }

// times runs body for local = 0 … n-1.
func times(local byte, n int64, body ...code) code {
	return do(i32(0), set(local), op(0x03, void), do(body...), add(local, 1), get(local), i32(n), below, op(0x0d, 0, 0x0b))
}

// call is a call of the program's own function n, where 0 is _start.
func call(n int) code { return append(code{0x10}, unsigned(uint64(len(wasi)+n))...) }

// sys is a call of a function of WASI, which leaves its errno on the stack.
func sys(name string, args ...code) code {
	return append(append(do(args...), 0x10), unsigned(uint64(position(name)))...)
}

func sized(body []byte) []byte { return append(unsigned(uint64(len(body))), body...) }

func section(id byte, body []byte) []byte { return append([]byte{id}, sized(body)...) }

// list is the encoding of a vector.
func list(items ...[]byte) []byte {
	out := unsigned(uint64(len(items)))
	for _, it := range items {
		out = append(out, it...)
	}
	return out
}

func name(s string) []byte { return sized([]byte(s)) }

// module puts sections behind a header.
func module(sections ...[]byte) []byte {
	raw := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		raw = append(raw, s...)
	}
	return raw
}

// body encodes a function's locals, all i32, and instructions.
func body(locals uint64, c code) []byte {
	decl := []byte{0}
	if locals > 0 {
		decl = append(append([]byte{1}, unsigned(locals)...), i32t)
	}
	return sized(append(append(decl, c...), 0x0b))
}
