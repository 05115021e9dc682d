package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"souk/node/executor/docker"
)

// RemoveContainers ends and removes the containers that a node which no longer
// runs left, with their mounts. host is its Docker's address, as in Docker.Host.
func RemoveContainers(ctx context.Context, dir, peer, host string) error {
	at := filepath.Join(dir, containersDir)
	left, err := os.ReadDir(filepath.Join(at, "jobs"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(left) == 0 {
		return nil // Docker need not be there
	}
	if err != nil {
		return err
	}
	return docker.Sweep(ctx, docker.Config{Dir: at, Host: host, Node: dockerName(peer, dir)})
}
