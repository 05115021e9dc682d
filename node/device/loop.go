package device

// Loops is how often the fixed module's _start runs its loop.
const Loops = 16_000_000

// Loop returns the fixed WASM module whose speed offers are compared by. It
// imports nothing, exports its memory and _start, and runs Loops rounds of a
// multiplication and an addition of 64-bit integers, a square root and an
// addition of floats, and a load and a store that wander over 64 KiB; each
// round needs the result of the one before, so no round can be skipped. The last
// integer and float are left in the first 16 bytes of memory.
//
// The bytes are a part of the protocol: scores of different modules can't be
// compared, so they never change within one version of the offer.
func Loop() []byte { return append([]byte(nil), loopModule...) }

// loopModule is, in the text format:
//
//	(module
//	  (memory (export "memory") 1 1)
//	  (func (export "_start") (local $i i32) (local $x i64) (local $f f64) (local $at i32)
//	    ...))
//
// with the instructions as they stand beside their bytes.
var loopModule = []byte{
	0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00,
	0x01, 0x04, 0x01, 0x60, 0x00, 0x00, // types: one, () -> ()
	0x03, 0x02, 0x01, 0x00, // functions: one, of that type
	0x05, 0x04, 0x01, 0x01, 0x01, 0x01, // memories: one, of one page at least and at most
	0x07, 0x13, 0x02, // exports: two
	0x06, 'm', 'e', 'm', 'o', 'r', 'y', 0x02, 0x00,
	0x06, '_', 's', 't', 'a', 'r', 't', 0x00, 0x00,
	0x0a, 0x67, 0x01, 0x65, // code: one body
	0x04, 0x01, 0x7f, 0x01, 0x7e, 0x01, 0x7c, 0x01, 0x7f, // $i i32, $x i64, $f f64, $at i32

	0x41, 0x80, 0xc8, 0xd0, 0x07, // i32.const 16000000
	0x21, 0x00, // local.set $i
	0x42, 0x01, // i64.const 1
	0x21, 0x01, // local.set $x

	0x03, 0x40, // loop
	0x20, 0x01, // local.get $x
	0x42, 0xad, 0xfe, 0xd5, 0xe4, 0xd4, 0x85, 0xfd, 0xa8, 0xd8, 0x00, // i64.const 6364136223846793005
	0x7e,       // i64.mul
	0x42, 0x0b, // i64.const 11
	0x7c,       // i64.add
	0x22, 0x01, // local.tee $x
	0x42, 0x30, // i64.const 48
	0x88,                   // i64.shr_u
	0xa7,                   // i32.wrap_i64
	0x41, 0xf0, 0xff, 0x03, // i32.const 65520
	0x71,       // i32.and
	0x21, 0x03, // local.set $at

	0x20, 0x02, // local.get $f
	0x20, 0x03, // local.get $at
	0xb8,       // f64.convert_i32_u
	0xa0,       // f64.add
	0x9f,       // f64.sqrt
	0x21, 0x02, // local.set $f

	0x20, 0x03, // local.get $at
	0x20, 0x01, // local.get $x
	0x20, 0x03, // local.get $at
	0x29, 0x03, 0x00, // i64.load
	0x85,       // i64.xor
	0x22, 0x01, // local.tee $x
	0x37, 0x03, 0x00, // i64.store

	0x20, 0x00, // local.get $i
	0x41, 0x01, // i32.const 1
	0x6b,       // i32.sub
	0x22, 0x00, // local.tee $i
	0x0d, 0x00, // br_if 0
	0x0b, // end

	0x41, 0x00, // i32.const 0
	0x20, 0x01, // local.get $x
	0x37, 0x03, 0x00, // i64.store
	0x41, 0x08, // i32.const 8
	0x20, 0x02, // local.get $f
	0x39, 0x03, 0x00, // f64.store
	0x0b, // end
}
