package jobfile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"

	"souk/internal/quantity"
	"souk/protocol/market"
)

const (
	exportSection = 7
	maxSection    = 12
	exportFunc    = 0
	startName     = "_start"
	wasmMagic     = "\x00asm"
	maxExportName = 1 << 10
)

var (
	errNoStart   = errors.New("it has no _start function, so it is no program; build it as a command (Go: GOOS=wasip1 GOARCH=wasm, Rust: target wasm32-wasip1)")
	errTruncated = errors.New("it is cut short or damaged; build or copy it again")
)

// checkModule looks at what a provider would refuse a module for at once. It
// reads the headers of the sections and the names of the exports.
func checkModule(at place, path string) error {
	f, err := os.Open(path) //nolint:gosec // the user's own path
	if err != nil {
		return at.wrong("%s", whyNot(path, "module", err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return at.wrong("%s", whyNot(path, "module", err))
	}
	switch {
	case !info.Mode().IsRegular():
		return at.wrong("module %s is no file", path)
	case info.Size() > market.MaxModuleBytes:
		return at.wrong("module %s has %s, and the limit is %s", path, quantity.Human(info.Size()), quantity.Format(market.MaxModuleBytes))
	}
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:4]) != wasmMagic {
		return at.wrong("%s is no WASM module: it doesn't begin with \\0asm", path)
	}
	if version := binary.LittleEndian.Uint32(head[4:]); version != 1 {
		return at.wrong("%s is no core WASM module of version 1 but of version %#x; a component has to be built as a module", path, version)
	}
	if err := findStart(bufio.NewReader(f)); err != nil {
		return at.wrong("module %s can't run: %v", path, err)
	}
	return nil
}

// findStart goes through the sections behind the header.
func findStart(r *bufio.Reader) error {
	found := false
	for {
		id, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			if !found {
				return errNoStart
			}
			return nil
		}
		if err != nil {
			return err
		}
		size, err := binary.ReadUvarint(r)
		if err != nil || size > math.MaxUint32 || id > maxSection+1 {
			return errTruncated
		}
		body := &io.LimitedReader{R: r, N: int64(size)} //nolint:gosec // below 2^32
		if id == exportSection {
			section := bufio.NewReader(body)
			if found, err = exportsStart(section); err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, section)
		}
		if _, err := io.Copy(io.Discard, body); err != nil || body.N > 0 {
			return errTruncated
		}
	}
}

// exportsStart reads an export section: a count, then name, kind and index of each.
func exportsStart(r *bufio.Reader) (found bool, err error) {
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return false, errTruncated
	}
	for range count {
		length, err := binary.ReadUvarint(r)
		if err != nil || length > math.MaxUint32 {
			return false, errTruncated
		}
		var name []byte
		if length <= maxExportName {
			name = make([]byte, length)
			_, err = io.ReadFull(r, name)
		} else {
			_, err = io.CopyN(io.Discard, r, int64(length)) //nolint:gosec // below 2^32
		}
		if err != nil {
			return false, errTruncated
		}
		kind, err := r.ReadByte()
		if err != nil {
			return false, errTruncated
		}
		if _, err := binary.ReadUvarint(r); err != nil {
			return false, errTruncated
		}
		found = found || (kind == exportFunc && string(name) == startName)
	}
	return found, nil
}
