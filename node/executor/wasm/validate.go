package wasm

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

const (
	maxMemory  = 4 << 30   // bytes that WebAssembly can address
	maxModule  = 256 << 20 // bytes of a module
	maxStrings = 128 << 10 // bytes of arguments and environment
	maxID      = 64
)

// refuse makes a *executor.JobError.
func refuse(format string, args ...any) error {
	return &executor.JobError{Reason: fmt.Sprintf(format, args...)}
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
	if l.Memory > maxMemory {
		return refuse("a WASM job can use at most 4 GiB of memory, and this one asks for %d bytes", l.Memory)
	}
	if !s.Module.Defined() {
		return refuse("the job names no module")
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
	}
	if size > maxStrings {
		return refuse("arguments and environment have %d bytes, and at most %d are allowed", size, maxStrings)
	}
	return nil
}

// validatePaths wants absolute, clean, separate guest paths.
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
		if !path.IsAbs(p) || p == "/" || path.Clean(p) != p || len(p) > 1024 || strings.ContainsAny(p, "\x00\\") || longName(p) {
			return refuse("%.80q can't be a job's path: it must be absolute and below /, without . or .. or a slash at the end", p)
		}
		for _, other := range paths[:i] {
			if p == other || strings.HasPrefix(p, other+"/") || strings.HasPrefix(other, p+"/") {
				return refuse("the paths %.80q and %.80q overlap; give each input and the outputs a path of its own", other, p)
			}
		}
	}
	return nil
}

func longName(p string) bool {
	return slices.ContainsFunc(strings.Split(p, "/"), func(name string) bool { return len(name) > 255 })
}

// sandboxed is what the sandbox is told of a Spec; disk is what the inputs left.
func sandboxed(s executor.Spec, disk int64) control.Spec {
	env := make([]string, 0, len(s.Env))
	for name, value := range s.Env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return control.Spec{
		ID: s.ID, Owner: s.Owner, Args: s.Args, Env: env, Outputs: s.Outputs, RealTime: s.RealTime,
		CPU: max(s.Limits.CPU, 1), Memory: s.Limits.Memory, Disk: disk, Log: s.Limits.Log, Time: s.Limits.Time,
	}
}
