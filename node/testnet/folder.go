package testnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"souk/node"
)

// claim takes a folder that is empty or isn't there yet, so that nothing in the
// folders of the nodes was there before them.
func (s *State) claim() error {
	files, err := os.ReadDir(s.Dir)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case slices.ContainsFunc(files, func(f fs.DirEntry) bool { return f.Name() == stateFile }):
		return s.running()
	case len(files) > 0:
		return fmt.Errorf("%w: %s holds other files; name one that is empty or doesn't exist", ErrTaken, s.Dir)
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, stateFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return s.running() // another one was faster
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), s.save())
}

func (s *State) running() error {
	return fmt.Errorf("%w in %s; `souk testnet down` ends it", ErrRunning, s.Dir)
}

// remove takes away containers and the nodes' folders, and the testnet's state
// last, so that it can be repeated where something is in the way. What else
// somebody put into the testnet's folder stays, and so does the folder then.
func (s *State) remove(ctx context.Context) (err error) {
	for _, n := range s.Nodes {
		if left := s.removeNode(ctx, n); left != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", n.Name, left))
		}
	}
	if err != nil {
		return fmt.Errorf("not all of the testnet could be removed, so repeat `souk testnet down` once what follows is mended: %w", err)
	}
	for _, name := range []string{stateFile + newSuffix, stateFile, ""} {
		err := os.Remove(filepath.Join(s.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

func (s *State) removeNode(ctx context.Context, n Node) error {
	if filepath.Dir(n.Dir) != filepath.Clean(s.Dir) {
		return fmt.Errorf("%s is no folder of the testnet in %s", n.Dir, s.Dir)
	}
	if !n.Shared {
		if err := node.RemoveContainers(ctx, n.Dir, n.Peer, s.DockerHost); err != nil {
			return err
		}
	}
	return os.RemoveAll(n.Dir)
}

// sameFolder tells whether two paths lead to one folder.
func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
