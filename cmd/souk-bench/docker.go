package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"souk/node/executor"
	"souk/node/executor/docker"
)

// dockerBench is souk's executor on a folder of its own, and an image that does nothing.
type dockerBench struct {
	dir     string
	exec    *docker.Executor
	archive cid.Cid
	file    string // the archive
	name    string // the image's, without a tag
	id      string // the image's: "sha256:..."
	jobs    int
}

// newDockerBench is a *notRun where there is no Docker. Whoever makes one closes it.
func newDockerBench(ctx context.Context) (_ *dockerBench, err error) {
	b := &dockerBench{}
	if err := b.docker(ctx, "version"); err != nil {
		return nil, &notRun{fmt.Sprintf("no Docker: %v", err)}
	}
	if b.dir, _, err = scratch(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	program := filepath.Join(b.dir, "noop")
	if err := buildNoop(ctx, b.dir, program); err != nil {
		return nil, err
	}
	b.name = "souk-bench/" + filepath.Base(b.dir)[len(scratchName):]
	b.file = filepath.Join(b.dir, "image.tar")
	if b.id, b.archive, err = writeImage(b.file, program, b.name+":latest"); err != nil {
		return nil, err
	}
	first := filepath.Join(b.dir, "souk-init")
	if err := buildStatic(ctx, "souk/cmd/souk-init", first); err != nil {
		return nil, err
	}
	b.exec, err = docker.New(docker.Config{
		Dir: filepath.Join(b.dir, "docker"), Source: file{b.archive, b.file},
		Node: "bench-" + strings.ToLower(filepath.Base(b.dir)[len(scratchName):]), AllowRunc: true, Runtime: "runc", InitPath: first,
	})
	if err != nil {
		return nil, err
	}
	if err := b.exec.Check(ctx); err != nil {
		return nil, &notRun{err.Error()}
	}
	return b, nil
}

// close takes away what the bench made: containers, the image, the folder.
func (b *dockerBench) close() error {
	var failed []error
	if b.exec != nil {
		failed = append(failed, b.exec.Close(false))
	}
	if b.id != "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if b.docker(ctx, "image", "inspect", "--format", "{{.Id}}", b.id) == nil {
			failed = append(failed, b.docker(ctx, "image", "rm", "--force", b.id))
		}
	}
	if b.dir != "" {
		failed = append(failed, os.RemoveAll(b.dir))
	}
	return errors.Join(failed...)
}

// docker runs the command of that name.
func (b *dockerBench) docker(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("docker %s: %w: %.300s", args[0], err, line)
	}
	return nil
}

// run is "docker run" of the image, measured until the container has ended; its
// removal is not counted.
func (b *dockerBench) run(ctx context.Context) (time.Duration, error) {
	b.jobs++
	name := fmt.Sprintf("souk-bench-%d-%d", os.Getpid(), b.jobs)
	began := time.Now()
	err := b.docker(ctx, "run", "--name", name, "--network", "none", "--runtime", "runc", b.id)
	took := time.Since(began)
	return took, errors.Join(err, b.docker(ctx, "rm", "--force", "--volumes", name))
}

// souk runs the image once and measures from preparing it until it has ended and
// its Result is on disk; its removal is not counted.
func (b *dockerBench) souk(ctx context.Context, image *executor.Image) (time.Duration, error) {
	b.jobs++
	spec := executor.Spec{
		ID: fmt.Sprintf("bench%d", b.jobs), Owner: "bench", Image: image,
		Limits: executor.Limits{CPU: 1, Memory: 64 << 20, Disk: 16 << 20, Log: 1 << 20, Time: time.Minute},
	}
	began := time.Now()
	x, err := b.exec.Prepare(ctx, spec)
	if err != nil {
		return 0, err
	}
	if err := x.Start(ctx); err != nil {
		return 0, errors.Join(err, x.Stop(ctx), x.Remove())
	}
	select {
	case <-x.Done():
	case <-ctx.Done():
		return 0, errors.Join(ctx.Err(), x.Stop(context.WithoutCancel(ctx)))
	}
	if r := x.Result(); r.Cause != executor.Exited || r.ExitCode != 0 {
		return 0, errors.Join(fmt.Errorf("the container ended with %s, code %d: %s", r.Cause, r.ExitCode, r.Detail), x.Remove())
	}
	took := time.Since(began)
	return took, x.Remove()
}

// buildNoop builds a static program that does nothing.
func buildNoop(ctx context.Context, dir, to string) error {
	source := filepath.Join(dir, "noop.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return err
	}
	return buildStatic(ctx, source, to)
}

// buildStatic builds a program that needs no libraries.
func buildStatic(ctx context.Context, source, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", to, source) //nolint:gosec // our own paths
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s could not be built: %w: %.300s", source, err, out)
	}
	return nil
}

// file is an executor.Source of one file.
type file struct {
	name cid.Cid
	path string
}

func (f file) Export(_ context.Context, _ string, root cid.Cid, dst string, maxBytes int64) error {
	if root != f.name {
		return fmt.Errorf("there is no %s here", root)
	}
	from, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer from.Close()
	if info, err := from.Stat(); err != nil || info.Size() > maxBytes {
		return errors.Join(err, fmt.Errorf("%s has more than %d bytes", f.path, maxBytes))
	}
	to, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the executor's own path
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
