// Package helper finds the small programs of souk's that run inside containers.
//
// It promises that a program which it gives can be run in every container on
// this machine, whatever the image holds and whoever the job runs as.
package helper

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Find gives the absolute path of the program called name; path is where it is
// said to be, or empty: then it is looked for beside this program, and in $PATH.
// purpose says in the errors who starts with it.
func Find(name, path, purpose string) (string, error) {
	if path == "" {
		if self, err := os.Executable(); err == nil {
			path = filepath.Join(filepath.Dir(self), name)
		}
		if _, err := os.Stat(path); err != nil {
			found, err := exec.LookPath(name)
			if err != nil {
				return "", fmt.Errorf("%s, which %s start with, was not found: put it beside souk or in $PATH", name, purpose)
			}
			path = found
		}
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s, which %s should start with, is not a program", path, purpose)
	}
	if info.Mode()&0o005 != 0o005 {
		return "", fmt.Errorf("%s can't be run by the users of containers: chmod 755 would be right", path)
	}
	if err := checkStatic(path); err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// checkStatic refuses a program that needs libraries, which a container may not have.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is not a Linux program, and containers can start with nothing else: %w", path, err)
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("%s needs libraries that a container may not have: build it with CGO_ENABLED=0", path)
	}
	return nil
}
