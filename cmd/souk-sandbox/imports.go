//go:build linux

package main

import "encoding/binary"

// foreignImport finds an import that is no function in a valid module, which
// wazero names only when it is run. It returns what kind it is, or nothing.
func foreignImport(raw []byte) string {
	const header, importSection = 8, 2
	if len(raw) < header {
		return ""
	}
	in := &reader{rest: raw[header:]}
	for len(in.rest) > 0 {
		id := in.byte()
		body := &reader{rest: in.take(in.number())}
		if id == importSection {
			return foreignIn(body)
		}
	}
	return ""
}

func foreignIn(in *reader) string {
	kinds := map[byte]string{1: "table", 2: "memory", 3: "global", 4: "tag"}
	for n := in.number(); n > 0 && len(in.rest) > 0; n-- {
		in.take(in.number()) // module
		in.take(in.number()) // name
		if kind, ok := kinds[in.byte()]; ok {
			return kind
		}
		in.number() // type of the function
	}
	return ""
}

// reader reads a module's encoding; past the end all is zero and empty.
type reader struct{ rest []byte }

func (r *reader) byte() byte {
	b := r.take(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	n = min(n, uint64(len(r.rest)))
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}
