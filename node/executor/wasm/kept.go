package wasm

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"souk/node/executor/wasm/control"
)

// errDamaged is what a power loss may leave: nothing of the cache is synced.
var errDamaged = errors.New("what was compiled is damaged")

// kept is what is written beside the machine code of a module.
type kept struct {
	control.Verdict
	Sum string // of that, and of the machine code
}

// readKept reads it from a folder of the cache. The error is errDamaged or
// os.ErrNotExist where compiling would help.
func readKept(entry string) (k kept, err error) {
	err = control.Read(entry, verdictFile, &k)
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &typed) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return k, err
}

// check holds machine code against its sum.
func (k kept) check(code string) error {
	sum, err := sumOf(k.Verdict, code)
	if err == nil && sum != k.Sum {
		err = errDamaged
	}
	return err
}

// intact tells whether a folder of the cache is as it was written.
func intact(entry string) bool {
	k, err := readKept(entry)
	return err == nil && k.check(filepath.Join(entry, codeDir)) == nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is a checksum over a verdict and the names and contents of the files in a
// folder: it finds what a power loss damaged, and is none against somebody who forges.
func sumOf(v control.Verdict, dir string) (string, error) {
	h := crc32.New(castagnoli)
	err := json.NewEncoder(h).Encode(v)
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return addFile(h, path, d.Name())
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func addFile(h io.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(h, f)
	if err == nil {
		_, err = fmt.Fprintf(h, "%s %d\n", name, n)
	}
	return err
}
