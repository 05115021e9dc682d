package egress

import (
	"fmt"
	"path/filepath"
	"strings"

	"souk/node/executor/docker/helper"
)

// findHelper gives the path of souk-egress.
func findHelper(path string) (string, error) {
	return helper.Find("souk-egress", path, "containers with egress")
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
