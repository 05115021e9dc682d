package executortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
)

// Source is an executor.Source that holds its data in memory.
type Source struct {
	mu   sync.Mutex
	data map[cid.Cid]map[string][]byte // path in the folder, "" for a file, to content
}

// File adds a file.
func (s *Source) File(t testing.TB, content []byte) cid.Cid {
	return s.Folder(t, map[string][]byte{"": content})
}

// Folder adds a folder of files by their paths.
func (s *Source) Folder(t testing.TB, files map[string][]byte) cid.Cid {
	var all []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = fmt.Appendf(all, "%q %d ", name, len(files[name]))
		all = append(all, files[name]...)
	}
	sum, err := multihash.Sum(all, multihash.SHA2_256, -1)
	require.NoError(t, err)
	c := cid.NewCidV1(cid.Raw, sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		s.data = map[cid.Cid]map[string][]byte{}
	}
	s.data[c] = files
	return c
}

var (
	errMissing = errors.New("the source has no such data")
	errTooBig  = errors.New("the data has more bytes than may be written")
)

// Export implements executor.Source.
func (s *Source) Export(_ context.Context, _ string, root cid.Cid, dst string, maxBytes int64) error {
	s.mu.Lock()
	files, ok := s.data[root]
	s.mu.Unlock()
	if !ok {
		return errMissing
	}
	for name, content := range files {
		if maxBytes -= int64(len(content)); maxBytes < 0 {
			return errTooBig
		}
		path := filepath.Join(dst, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
