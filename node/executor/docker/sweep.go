package docker

import (
	"context"
	"errors"
	"os"

	"github.com/ipfs/go-cid"
)

// Sweep ends and removes what the executions of a process that is gone left in
// cfg.Dir and in Docker: containers, mounts, workspaces. No other process may use
// cfg.Dir. Where it fails it may be called again.
func Sweep(ctx context.Context, cfg Config) (err error) {
	cfg.Source = nowhere{}
	e, err := New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(false)) }()
	found, err := e.Recover(ctx)
	for _, x := range found {
		err = errors.Join(err, x.Stop(ctx), x.Remove())
	}
	return err
}

// nowhere is a source for who starts nothing.
type nowhere struct{}

func (nowhere) Export(context.Context, string, cid.Cid, string, int64) error { return os.ErrNotExist }
