package docker

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"souk/node/executor"
)

const (
	maxStrings = 128 << 10 // bytes of arguments and environment
	maxID      = 64
	minMemory  = 6 << 20 // bytes; Docker takes no less
)

// refuse makes a *executor.JobError.
func refuse(format string, args ...any) error {
	return &executor.JobError{Reason: fmt.Sprintf(format, args...)}
}

// unable makes a *executor.ProviderError.
func unable(err error, format string, args ...any) error {
	return &executor.ProviderError{Reason: fmt.Sprintf(format, args...), Err: err}
}

// validate refuses a Spec that can't run anywhere, and one that this
// node should not have handed on.
func validate(s executor.Spec) error {
	if !validID(s.ID) || s.Owner == "" {
		return fmt.Errorf("an execution needs an owner and an ID of 1 to %d lower-case letters and digits, not %.80q", maxID, s.ID)
	}
	l := s.Limits
	if l.Memory <= 0 || l.Disk <= 0 || l.Log <= 0 || l.Time <= 0 || l.CPU < 0 {
		return refuse("memory, disk, log and time each need a limit over zero")
	}
	if l.Memory < minMemory {
		return refuse("a container needs at least %d MiB of memory, and this job asks for %d bytes", minMemory>>20, l.Memory)
	}
	if s.Image == nil || s.Image.Ref == "" == !s.Image.Archive.Defined() {
		return refuse("the job names no image, or two; name one, by reference or by the CID of an archive")
	}
	if err := validateStrings(s); err != nil {
		return err
	}
	return validatePaths(s)
}

func validID(id string) bool {
	ok := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool { return !ok(r) })
}

func validateStrings(s executor.Spec) error {
	size := 0
	for _, arg := range s.Args {
		size += len(arg) + 1
		if strings.ContainsRune(arg, 0) {
			return refuse("an argument holds a zero byte: %.80q", arg)
		}
	}
	for name, value := range s.Env {
		size += len(name) + len(value) + 2
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return refuse("%.80q can't be an environment variable: a name holds no '=', and neither part a zero byte", name)
		}
		if reserved(name) {
			return refuse("the variable %.80s steers programs of this machine that start a container; set it inside the job, as in: env %.80s=... PROGRAM", name, name)
		}
	}
	if size > maxStrings {
		return refuse("arguments and environment have %d bytes, and at most %d are allowed", size, maxStrings)
	}
	return nil
}

// validatePaths wants absolute, clean, separate guest paths, away from the kernel's own.
func validatePaths(s executor.Spec) error {
	paths := make([]string, 0, len(s.Inputs)+1)
	for _, in := range s.Inputs {
		if !in.CID.Defined() {
			return refuse("the input at %.80q names no content", in.At)
		}
		paths = append(paths, in.At)
	}
	if s.Outputs != "" {
		paths = append(paths, s.Outputs)
	}
	for i, p := range paths {
		if !validPath(p) {
			return refuse("%.80q can't be a job's path: it must be absolute and below /, without . or .. or a slash at the end, and not in /proc, /sys or /dev", p)
		}
		for _, other := range paths[:i] {
			if p == other || under(p, other) || under(other, p) {
				return refuse("the paths %.80q and %.80q overlap; give each input and the outputs a path of its own", other, p)
			}
		}
	}
	return nil
}

// validPath says whether something may be mounted at p in a container.
func validPath(p string) bool {
	if !path.IsAbs(p) || p == "/" || path.Clean(p) != p || len(p) > 1024 || strings.ContainsAny(p, "\x00\\") {
		return false
	}
	parts := strings.Split(p[1:], "/")
	return !slices.Contains([]string{"proc", "sys", "dev"}, parts[0]) &&
		!slices.ContainsFunc(parts, func(name string) bool { return len(name) > 255 })
}

// under says whether p is below the folder dir.
func under(p, dir string) bool { return strings.HasPrefix(p, dir+"/") }
