package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

// Prepare lays out the workspace, brings the image where it isn't here, and
// makes the container.
func (e *Executor) Prepare(ctx context.Context, spec executor.Spec) (executor.Execution, error) {
	if err := validate(spec); err != nil {
		return nil, err
	}
	if len(spec.Egress) > 0 && e.cfg.Egress == nil {
		return nil, unable(errors.New("the lease has egress"), "this provider gives jobs no network, and this one asks to connect somewhere")
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	d, err := e.daemon(ctx)
	if err != nil {
		return nil, unable(err, "this provider's Docker can't run jobs now")
	}
	dir := filepath.Join(e.jobs(), spec.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the workspace could not be made: %w", err)
	}
	x, err := e.prepare(ctx, d, dir, spec)
	if err != nil {
		return nil, errors.Join(err, e.discard(dir))
	}
	return x, nil
}

func (e *Executor) prepare(ctx context.Context, d daemon, dir string, spec executor.Spec) (*execution, error) {
	left, err := e.layInputs(ctx, dir, spec)
	if err != nil {
		return nil, err
	}
	img, err := e.images.get(ctx, d, dir, spec)
	if err != nil {
		return nil, err
	}
	defer e.images.release(img.ID)
	p := plan{spec: spec, dir: dir, node: e.cfg.Node, image: img, daemon: d, first: e.first(d.Init)}
	if p.volumes, err = acceptImage(img, d.Arch, spec); err != nil {
		return nil, err
	}
	if p.grant, err = e.grantDevices(ctx, d, spec.Devices); err != nil {
		return nil, unable(err, "this provider can't pass the leased devices into a container")
	}
	p.cgroup = parentCgroup(d.CgroupDriver, e.cfg.Node, spec.ID)
	limits := spec.Limits
	limits.Disk = left
	rec := record{ID: spec.ID, Owner: spec.Owner, Image: img.ID, Outputs: spec.Outputs, Egress: spec.Egress, Limits: limits, Cgroup: p.cgroup}
	if rec.Disk, err = makeDisk(ctx, dir, left); err != nil {
		return nil, err
	}
	if err := makeVolumes(dir, len(p.volumes)); err != nil {
		return nil, err
	}
	if p.wiring, err = e.wire(ctx, spec); err != nil {
		return nil, err
	}
	x, err := e.make(ctx, p, rec)
	if err != nil {
		return nil, errors.Join(err, p.wiring.end())
	}
	return x, nil
}

// make has the daemon make the container, and records it.
func (e *Executor) make(ctx context.Context, p plan, rec record) (*execution, error) {
	options := p.options()
	made, err := e.api.ContainerCreate(ctx, options)
	if err != nil && ctx.Err() != nil { // the daemon may have made it all the same
		err = errors.Join(err, e.removeContainer(options.Name))
	}
	switch {
	case errdefs.IsInvalidArgument(err):
		e.cfg.Log.Warn("Docker takes no such container", "execution", rec.ID, "error", err)
		return nil, refuse("this provider's Docker takes no container with this job's image, arguments, variables and paths")
	case err != nil:
		return nil, fmt.Errorf("the container could not be made: %w", err)
	}
	rec.Container = made.ID
	x := newExecution(e, p.dir, rec, p.wiring)
	err = e.seesMounts(ctx, made.ID, p)
	if err == nil {
		err = x.keep(recordFile, rec)
	}
	if err == nil {
		err = control.SyncDir(e.jobs())
	}
	if err == nil {
		err = e.add(x)
	}
	if err != nil {
		x.end()
		return nil, errors.Join(err, e.removeContainer(made.ID))
	}
	go x.live()
	return x, nil
}

func (e *Executor) wire(ctx context.Context, spec executor.Spec) (*Wiring, error) {
	if len(spec.Egress) == 0 {
		return nil, nil
	}
	w, err := e.cfg.Egress(ctx, spec)
	if err != nil {
		return nil, unable(err, "the job's way to the network could not be made")
	}
	return w, nil
}

func (w *Wiring) end() error {
	if w == nil || w.Close == nil {
		return nil
	}
	return w.Close()
}

// layInputs exports the inputs and gives back what the disk limit leaves. They
// are readable for the user that the job runs as, and can be run.
func (e *Executor) layInputs(ctx context.Context, dir string, spec executor.Spec) (int64, error) {
	root := filepath.Join(dir, inputsDir)
	if err := os.Mkdir(root, 0o755); err != nil {
		return 0, err
	}
	left := spec.Limits.Disk
	for i, in := range spec.Inputs {
		dst := filepath.Join(root, strconv.Itoa(i))
		if err := e.cfg.Source.Export(ctx, spec.Owner, in.CID, dst, left); err != nil {
			return 0, fmt.Errorf("the input at %s could not be laid out: %w", in.At, err)
		}
		size, err := unlock(dst, in.At)
		if err != nil {
			return 0, err
		}
		if left -= size; left < 0 {
			return 0, refuse("the inputs have more bytes than the job's disk limit, %d", spec.Limits.Disk)
		}
	}
	return left, nil
}

// unlock lets everybody read what lies at dst, and gives its size.
func unlock(dst, at string) (size int64, err error) {
	err = filepath.WalkDir(dst, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return refuse("the input at %s holds something that is neither file nor folder", at)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !d.IsDir() {
			size += info.Size()
		}
		return os.Chmod(path, 0o755)
	})
	return size, err
}

func makeVolumes(dir string, n int) error {
	for i := range n {
		at := filepath.Join(dir, diskDir, volumesDir, strconv.Itoa(i))
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(at, 0o777); err != nil {
			return err
		}
	}
	return nil
}

// seesMounts fails where the daemon would give a job a folder of this
// machine instead of the disk that is mounted there, as it does when it runs in
// another mount namespace. One container tells it for all.
func (e *Executor) seesMounts(ctx context.Context, id string, p plan) error {
	e.mu.Lock()
	known := e.seen
	e.mu.Unlock()
	part, at := scratchDir, scratch
	if p.spec.Outputs != "" {
		part, at = outDir, p.spec.Outputs
	} else if taken(p.spec, scratch) {
		return nil // it can't write anywhere
	}
	if known {
		return nil
	}
	probe := filepath.Join(p.dir, diskDir, part, "souk")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return err
	}
	_, err := e.api.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: at + "/souk"})
	if errdefs.IsNotFound(err) {
		return errors.New("Docker doesn't see the disks that this node mounts, so container jobs can't be limited: run the node in the daemon's mount namespace (of a systemd unit: no PrivateMounts, ProtectSystem or the like)") //nolint:staticcheck // a name
	}
	if err != nil {
		return fmt.Errorf("the container could not be looked into: %w", err)
	}
	e.mu.Lock()
	e.seen = true
	e.mu.Unlock()
	return os.Remove(probe)
}

// removeContainer removes a container with its volumes; one that is gone is no error.
func (e *Executor) removeContainer(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("the container could not be removed: %w", err)
	}
	return nil
}
