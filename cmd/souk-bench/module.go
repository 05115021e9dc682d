package main

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// The sizes of the modules that jobs run.
const (
	largeModule = 80_000 // bytes, like a small Rust program
	opsInBody   = 64     // multiplications with addition in a function of a large module
)

// trivialModule is a WASM program that does nothing.
func trivialModule() []byte { return wasmModule([][]byte{{0x0b}}) }

// busyModule counts to 20 million in memory, which takes some 10 ms and so costs something.
func busyModule() []byte {
	body := []byte{0x03, 0x40, 0x41, 0, 0x41, 0, 0x28, 2, 0, 0x41, 1, 0x6a, 0x36, 2, 0} // loop: memory[0] = memory[0] + 1
	body = appendSigned(append(body, 0x41, 0, 0x28, 2, 0, 0x41), 20_000_000)
	return wasmModule([][]byte{append(body, 0x49, 0x0d, 0, 0x0b, 0x0b)}) // while it is below
}

// bigModule is a program of about largeModule bytes that does nothing either:
// its other functions are there to be compiled. Each seed gives another one.
func bigModule(seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 80)) //nolint:gosec // filler
	bodies, size := [][]byte{{0x0b}}, 0
	for size < largeModule {
		body := []byte{0x20, 0x00} // local.get 0
		for range opsInBody {
			body = append(appendSigned(append(body, 0x42), rng.Int64()), 0x7e)               // i64.const, i64.mul
			body = append(append(appendSigned(append(body, 0x42), rng.Int64()), 0x7c), 0x22) // i64.const, i64.add, local.tee
			body = append(body, 0x00, 0x20, 0x00, 0x85, 0x20, 0x00, 0x7c)                    // 0, local.get 0, i64.xor, local.get 0, i64.add
		}
		bodies = append(bodies, append(body, 0x0b))
		size += len(body)
	}
	return wasmModule(bodies)
}

// wasmModule has the first body, of a function without parameters, as _start;
// the others take an i64 and give one.
func wasmModule(bodies [][]byte) []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = appendSection(m, 1, []byte{2, 0x60, 0, 0, 0x60, 1, 0x7e, 1, 0x7e})
	funcs := binary.AppendUvarint(nil, uint64(len(bodies)))
	code := binary.AppendUvarint(nil, uint64(len(bodies)))
	for i, body := range bodies {
		funcs = append(funcs, byte(min(i, 1))) //nolint:gosec // 0 or 1
		code = append(append(binary.AppendUvarint(code, uint64(len(body)+1)), 0), body...)
	}
	m = appendSection(m, 3, funcs)
	m = appendSection(m, 5, []byte{1, 0, 1}) // one page of memory
	m = appendSection(m, 7, append(append([]byte{2, 6}, "_start\x00\x00\x06"...), "memory\x02\x00"...))
	return appendSection(m, 10, code)
}

func appendSection(m []byte, id byte, content []byte) []byte {
	return append(binary.AppendUvarint(append(m, id), uint64(len(content))), content...)
}

// appendSigned appends a signed LEB128 number.
func appendSigned(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f) //nolint:gosec // seven bits
		v >>= 7
		if (v == 0 && low&0x40 == 0) || (v == -1 && low&0x40 != 0) {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// writeModule puts a module into dir and gives its path.
func writeModule(dir, name string, module []byte) (string, error) {
	path := filepath.Join(dir, name+".wasm")
	return path, os.WriteFile(path, module, 0o600)
}
