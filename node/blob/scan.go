package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// entry is a file or folder that is to be added.
type entry struct {
	name     string // empty for the root
	dir      bool
	size     int64 // bytes of a file
	children []*entry
}

// scanner looks at everything before anything is read, so that a path that
// can't be stored is refused at once.
type scanner struct {
	root    *os.Root
	base    string // what to call root in sentences
	max     int64
	entries int
	bytes   int64
}

// where is how a user knows the path of rel.
func (s *scanner) where(rel string) string { return filepath.Join(s.base, rel) }

func (s *scanner) scan(ctx context.Context, rel string, depth int) (*entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := s.root.Lstat(rel)
	if err != nil {
		return nil, err
	}
	if s.entries++; s.entries > MaxEntries {
		return nil, refused("%s has more than %d files and folders; put them in an archive", s.base, MaxEntries)
	}
	switch {
	case info.Mode().IsRegular():
		return s.file(rel, info)
	case info.IsDir():
		return s.folder(ctx, rel, depth)
	default:
		return nil, refused("%s is a %s; only files and folders can be stored", s.where(rel), kindOf(info.Mode()))
	}
}

func (s *scanner) file(rel string, info fs.FileInfo) (*entry, error) {
	if s.bytes += info.Size(); s.bytes > s.max {
		return nil, overLimit("%s has more than %d bytes", s.base, s.max)
	}
	return &entry{size: info.Size()}, nil
}

func (s *scanner) folder(ctx context.Context, rel string, depth int) (*entry, error) {
	if depth > maxFolders {
		return nil, refused("%s is more than %d folders deep", s.where(rel), maxFolders)
	}
	names, err := s.names(rel)
	if err != nil {
		return nil, err
	}
	e := &entry{dir: true}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, refused("%s: %v", s.where(rel), err)
		}
		child, err := s.scan(ctx, filepath.Join(rel, name), depth+1)
		if err != nil {
			return nil, err
		}
		child.name = name
		e.children = append(e.children, child)
	}
	return e, nil
}

// names lists a folder in byte order, which is also that of dag-pb links.
func (s *scanner) names(rel string) ([]string, error) {
	dir, err := s.root.Open(rel)
	if err != nil {
		return nil, err
	}
	defer dir.Close() // read only: closing can lose nothing
	var names []string
	for {
		some, err := dir.Readdirnames(256)
		names = append(names, some...)
		if len(names) > MaxLinks {
			return nil, refused("folder %s has more than %d entries; spread them over folders or put them in an archive",
				s.where(rel), MaxLinks)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

// checkName says whether a folder may have an entry of that name.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return invalid("%q is no file name", name)
	case len(name) > maxName:
		return invalid("a file name has %d bytes, the most is %d", len(name), maxName)
	case strings.ContainsAny(name, "/\x00") || strings.ContainsRune(name, filepath.Separator):
		return invalid("the file name %q has a separator or a zero byte in it", name)
	case !utf8.ValidString(name):
		return invalid("the file name %q is not UTF-8", name)
	}
	return nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	default:
		return "special file"
	}
}
