package egress

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const helperName = "souk-egress"

// findHelper gives the path of souk-egress, of which it promises that every
// container on this machine can run it.
func findHelper(path string) (string, error) {
	if path == "" {
		if self, err := os.Executable(); err == nil {
			path = filepath.Join(filepath.Dir(self), helperName)
		}
		if _, err := os.Stat(path); err != nil {
			found, err := exec.LookPath(helperName)
			if err != nil {
				return "", errors.New("souk-egress, which containers with egress start with, was not found: put it beside souk or in $PATH")
			}
			path = found
		}
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s, which containers with egress should start with, is not a program", path)
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

// CheckRuntime says what keeps containers of a Docker runtime from having
// egress, nil where nothing is known to. path and args are those that the
// runtime has in Docker's configuration; both are empty of a runtime that
// Docker knows by its shim alone.
func CheckRuntime(name, path string, args []string) error {
	if !strings.HasPrefix(name, "runsc") && !strings.HasPrefix(filepath.Base(path), "runsc") || path == "" {
		return nil
	}
	for i, a := range args {
		flag, value, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if value == "" && i+1 < len(args) {
			value = args[i+1]
		}
		if flag == "host-uds" && (value == "open" || value == "all") {
			return nil
		}
	}
	return fmt.Errorf("docker.egress is on, and gVisor shuts it off as Docker's runtime %q is set up: add \"--host-uds=open\" to its runtimeArgs in /etc/docker/daemon.json and restart Docker, or set docker.egress: none", name)
}
