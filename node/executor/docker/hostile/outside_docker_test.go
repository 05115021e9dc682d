//go:build dockertest

package hostile_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"souk/node/blob"
	"souk/node/executor"
	"souk/node/executor/docker"
)

func port(a net.Addr) int {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.Port
	case *net.UDPAddr:
		return a.Port
	}
	return 0
}

// outside looks at this machine for what a job may have left.
type outside struct {
	api *client.Client
	dir string // the executor's
}

func newOutside(t *testing.T, dir string) *outside {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() { api.Close() })
	return &outside{api: api, dir: dir}
}

// traces are the names under which something of a job could be left.
type traces struct {
	id        string // of the execution
	marker    string // in the environment of its processes
	container string
	volumes   []string
}

// traces asks the daemon what it made for an execution.
func (o *outside) traces(ctx context.Context, node, id string) traces {
	tr := traces{id: id, marker: `"` + node + "/" + id + `"`}
	found, err := o.list(ctx, docker.LabelNode+"="+node, docker.LabelExecution+"="+id)
	if err != nil || len(found) != 1 {
		return tr
	}
	tr.container = found[0].ID
	for _, m := range found[0].Mounts {
		if m.Name != "" {
			tr.volumes = append(tr.volumes, m.Name)
		}
	}
	return tr
}

// gone waits until nothing is left, and says what still is when the time has come.
func (o *outside) gone(ctx context.Context, tr traces, until time.Time) []string {
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for {
		left := o.remains(context.WithoutCancel(ctx), tr)
		if len(left) == 0 || time.Now().After(until) {
			return left
		}
		<-every.C
	}
}

func (o *outside) remains(ctx context.Context, tr traces) (left []string) {
	if tr.container == "" {
		left = append(left, "its container was not to be found by its labels")
	} else if _, err := o.api.ContainerInspect(ctx, tr.container, client.ContainerInspectOptions{}); err == nil {
		left = append(left, "its container is left")
	}
	for _, v := range tr.volumes {
		if _, err := o.api.VolumeInspect(ctx, v, client.VolumeInspectOptions{}); err == nil {
			left = append(left, "the volume "+v+" is left")
		}
	}
	left = append(left, processes(tr)...)
	left = append(left, mountsAndLoops(tr, o.dir)...)
	left = append(left, cgroups(tr)...)
	_ = filepath.WalkDir(o.dir, func(path string, _ fs.DirEntry, _ error) error {
		if strings.Contains(path, tr.id) {
			left = append(left, path+" is left")
			return fs.SkipAll
		}
		return nil
	})
	return left
}

// processes finds the job's by their environment, and what ran it by its command line.
func processes(tr traces) (left []string) {
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range found {
		env, _ := os.ReadFile(dir + "/environ") // it may be gone by now
		line, _ := os.ReadFile(dir + "/cmdline")
		if bytes.Contains(env, []byte(tr.marker)) || tr.container != "" && bytes.Contains(line, []byte(tr.container)) {
			left = append(left, fmt.Sprintf("process %s is left: %.80q", filepath.Base(dir), line))
		}
	}
	return left
}

func mountsAndLoops(tr traces, dir string) (left []string) {
	raw, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(raw)) {
		if tr.container != "" && strings.Contains(line, tr.container) || strings.Contains(line, dir) && strings.Contains(line, "/"+tr.id+"/") {
			left = append(left, "a mount is left: "+strings.TrimSpace(line))
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, loop := range loops {
		file, _ := os.ReadFile(loop)
		if bytes.Contains(file, []byte(dir)) && bytes.Contains(file, []byte("/"+tr.id+"/")) {
			left = append(left, fmt.Sprintf("a loop device is left: %s", file))
		}
	}
	return left
}

func cgroups(tr traces) (left []string) {
	for _, depth := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		found, _ := filepath.Glob("/sys/fs/cgroup/" + depth)
		for _, dir := range found {
			name := filepath.Base(dir)
			if strings.HasSuffix(name, "-"+tr.id) || tr.container != "" && strings.Contains(name, tr.container) {
				left = append(left, "a cgroup is left: "+dir)
			}
		}
	}
	return left
}

// left is what of a whole node is still there.
func (o *outside) left(ctx context.Context, node string) (left []string) {
	found, err := o.list(ctx, docker.LabelNode+"="+node)
	if err != nil {
		return []string{err.Error()}
	}
	for _, c := range found {
		left = append(left, "container "+c.ID)
	}
	return left
}

// harvest takes the outputs as a provider does, and looks whether anything came
// with them that is not the job's.
func (s *suite) harvest(ctx context.Context, b behaviour, x executor.Execution) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	at, err := os.MkdirTemp(s.dir, "harvest-")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(at)
	began := time.Now()
	store, err := blob.Open(filepath.Join(at, "blobs"), blob.Options{SpaceQuota: 4 * disk, MaxContent: 2 * disk})
	if err != nil {
		return []string{err.Error()}
	}
	space, err := store.Space("owner")
	if err != nil {
		return []string{err.Error()}
	}
	root, size, err := blob.AddPath(ctx, space, x.OutputDir(), nil)
	if took := time.Since(began); took > cleanWithin {
		say("its outputs took %v to collect", took)
	}
	if err != nil {
		return wrong // refused, which is as good
	}
	if size > disk+slack {
		say("its outputs have %d bytes, %d were leased", size, disk)
	}
	out := filepath.Join(at, "out")
	if err := space.Export(ctx, root, out, 2*disk); err != nil {
		say("its outputs can't be exported: %v", err)
	}
	_ = filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			say("its outputs: %v", err)
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSymlink|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
			say("its outputs came with a %s", info.Mode())
		}
		if raw, _ := os.ReadFile(path); bytes.Contains(raw, []byte(s.canary.secret)) {
			say("its outputs came with a secret of this machine")
		}
		return nil
	})
	return wrong
}

func (o *outside) list(ctx context.Context, labels ...string) ([]container.Summary, error) {
	found, err := o.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labels...)})
	return found.Items, err
}

// removeImage takes away what executors may keep for the next job.
func (o *outside) removeImage(t *testing.T, id string) {
	_, err := o.api.ImageRemove(context.Background(), id, client.ImageRemoveOptions{Force: true})
	if err != nil && !errdefs.IsNotFound(err) {
		t.Errorf("the image is left: %v", err)
	}
}
