package executor

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Limits of every Spec, whatever runs it.
const (
	MaxStrings = 128 << 10 // bytes of arguments and environment
	MaxID      = 64
)

// Refuse makes a *JobError.
func Refuse(format string, args ...any) error { return &JobError{Reason: fmt.Sprintf(format, args...)} }

// Validate refuses, with a *JobError, a Spec that can't run anywhere, and with
// another error one that the node should not have handed on. What only one kind
// of executor asks for, that executor checks.
func (s Spec) Validate() error {
	if !ValidID(s.ID) || s.Owner == "" {
		return fmt.Errorf("an execution needs an owner and an ID of 1 to %d lower-case letters and digits, not %.80q", MaxID, s.ID)
	}
	l := s.Limits
	if l.Memory <= 0 || l.Disk <= 0 || l.Log <= 0 || l.Time <= 0 || l.CPU < 0 {
		return Refuse("memory, disk, log and time each need a limit over zero")
	}
	if err := s.validateStrings(); err != nil {
		return err
	}
	return s.validatePaths()
}

// ValidID tells whether id can name an execution, and a folder.
func ValidID(id string) bool {
	ok := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
	return id != "" && len(id) <= MaxID && !strings.ContainsFunc(id, func(r rune) bool { return !ok(r) })
}

func (s Spec) validateStrings() error {
	size := 0
	for _, arg := range s.Args {
		size += len(arg) + 1
		if strings.ContainsRune(arg, 0) {
			return Refuse("an argument holds a zero byte: %.80q", arg)
		}
	}
	for name, value := range s.Env {
		size += len(name) + len(value) + 2
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return Refuse("%.80q can't be an environment variable: a name holds no '=', and neither part a zero byte", name)
		}
	}
	if size > MaxStrings {
		return Refuse("arguments and environment have %d bytes, and at most %d are allowed", size, MaxStrings)
	}
	return nil
}

// Paths are the guest paths that the job names.
func (s Spec) Paths() []string {
	paths := make([]string, 0, len(s.Inputs)+1)
	for _, in := range s.Inputs {
		paths = append(paths, in.At)
	}
	if s.Outputs != "" {
		paths = append(paths, s.Outputs)
	}
	return paths
}

// validatePaths wants absolute, clean, separate guest paths.
func (s Spec) validatePaths() error {
	for _, in := range s.Inputs {
		if !in.CID.Defined() {
			return Refuse("the input at %.80q names no content", in.At)
		}
	}
	paths := s.Paths()
	for i, p := range paths {
		if !ValidPath(p) {
			return Refuse("%.80q can't be a job's path: it must be absolute and below /, without . or .. or a slash at the end", p)
		}
		for _, other := range paths[:i] {
			if p == other || strings.HasPrefix(p, other+"/") || strings.HasPrefix(other, p+"/") {
				return Refuse("the paths %.80q and %.80q overlap; give each input and the outputs a path of its own", other, p)
			}
		}
	}
	return nil
}

// ValidPath tells whether p is a clean absolute guest path below /.
func ValidPath(p string) bool {
	return path.IsAbs(p) && p != "/" && path.Clean(p) == p && len(p) <= 1024 && !strings.ContainsAny(p, "\x00\\") &&
		!slices.ContainsFunc(strings.Split(p, "/"), func(name string) bool { return len(name) > 255 })
}
