package node

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// maxKept is the most that a hint's file is read of.
const maxKept = 1 << 20

// hintFile is a file of the data directory with what is good to know after a
// restart, and no loss where it is gone: it isn't synced.
type hintFile string

// Load gives nothing where there is no file.
func (f hintFile) Load() ([]byte, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxKept))
}

// Save replaces the file in one step.
func (f hintFile) Save(text []byte) error {
	part := string(f) + ".part"
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, string(f))
}
