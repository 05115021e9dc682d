package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/moby/client"

	"souk/node/executor/docker/egress"
	"souk/node/executor/docker/helper"
)

const (
	runsc  = "runsc"
	runc   = "runc"
	minAPI = "1.41" // Docker 20.10
)

// daemon is what there is to know of Docker on this machine.
type daemon struct {
	Server       string // version
	Arch         string // as images name it: "amd64"
	Runtime      string // that jobs run on
	RuncVersion  string
	RuncCommit   string
	CgroupDriver string
	Seccomp      bool
	CDI          bool // devices can be named as CDI does
	Root         string
	Init         string // path of souk-init
}

// Check says in one sentence what keeps jobs from running here.
func (e *Executor) Check(ctx context.Context) error {
	_, err := e.daemon(ctx)
	return err
}

// Isolation says in one sentence what shuts a job in on this machine.
func (e *Executor) Isolation(ctx context.Context) (string, error) {
	d, err := e.daemon(ctx)
	if err != nil {
		return "", err
	}
	if d.Runtime != runsc && d.raw() {
		return fmt.Sprintf("container jobs run on %s (runc %s) and share this machine's kernel, as docker.allow_runc permits%s", d.Runtime, d.RuncVersion, laterHoles(d.RuncVersion)), nil
	}
	return fmt.Sprintf("container jobs run on %s of Docker %s, with a kernel of their own", d.Runtime, d.Server), nil
}

// raw says whether the runtime shares this machine's kernel with jobs.
func (d daemon) raw() bool { return !strings.HasPrefix(d.Runtime, runsc) }

// daemon asks Docker, and fails with a sentence where no job may run.
func (e *Executor) daemon(ctx context.Context) (d daemon, err error) {
	v, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return d, e.unreachable(err)
	}
	if older(v.APIVersion, minAPI) {
		return d, &Obstacle{Why: fmt.Sprintf("Docker %s speaks API %s, and souk needs %s or newer", v.Version, v.APIVersion, minAPI), Fix: "install Docker 20.10 or newer"}
	}
	answer, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return d, e.unreachable(err)
	}
	info := answer.Info
	d = daemon{Server: v.Version, Arch: v.Arch, CgroupDriver: info.CgroupDriver, CDI: len(info.CDISpecDirs) > 0, Root: info.DockerRootDir}
	for _, c := range v.Components {
		if strings.EqualFold(c.Name, runc) {
			d.RuncVersion, d.RuncCommit = c.Version, c.Details["GitCommit"]
		}
	}
	d.Seccomp = slices.ContainsFunc(info.SecurityOptions, func(o string) bool {
		return strings.HasPrefix(o, "name=seccomp") && !strings.Contains(o, "profile=unconfined")
	})
	names := make([]string, 0, len(info.Runtimes))
	for name := range info.Runtimes {
		names = append(names, name)
	}
	if d.Runtime, err = e.chooseRuntime(names); err != nil {
		return d, err
	}
	if r := info.Runtimes[d.Runtime]; e.cfg.Egress != nil {
		if err := egress.CheckRuntime(d.Runtime, r.Path, r.Args); err != nil {
			return d, err
		}
	}
	if err := d.safe(); err != nil {
		return d, err
	}
	if d.Init, err = helper.Find("souk-init", e.cfg.InitPath, "containers"); err != nil {
		return d, err
	}
	return d, e.tryDisk(ctx)
}

// chooseRuntime gives what jobs run on, out of those that the daemon knows.
func (e *Executor) chooseRuntime(known []string) (string, error) {
	want := e.cfg.Runtime
	switch {
	case want == "" && slices.Contains(known, runsc):
		return runsc, nil
	case want == "" && e.cfg.AllowRunc:
		want = runc
	case want == "":
		return "", &Obstacle{
			Why: "gVisor's runsc is not installed in Docker, and strangers' jobs don't run on raw runc unless you say so",
			Fix: "install runsc (gvisor.dev), or set docker.allow_runc: true",
		}
	}
	if !slices.Contains(known, want) {
		return "", &Obstacle{
			Why: fmt.Sprintf("docker.runtime is %.40q, and Docker has no such runtime", want),
			Fix: "set it to one that Docker has (" + strings.Join(slices.Sorted(slices.Values(known)), ", ") + "), or leave it out", Misnamed: true,
		}
	}
	if !strings.HasPrefix(want, runsc) && !e.cfg.AllowRunc {
		return "", &Obstacle{
			Why: fmt.Sprintf("docker.runtime is %q, which shares this machine's kernel with strangers' jobs", want),
			Fix: "set docker.allow_runc: true if you want that, or use runsc",
		}
	}
	return want, nil
}

// safe is the gate for a runtime that shares this machine's kernel.
func (d daemon) safe() error {
	if !d.raw() {
		return nil
	}
	if !d.Seccomp {
		return &Obstacle{
			Why: "Docker runs containers without its seccomp filter, so no stranger's job may run on runc",
			Fix: "remove seccomp-profile from the daemon's configuration, or use runsc",
		}
	}
	return checkRunc(d.RuncVersion, d.RuncCommit)
}

// unreachable is a sentence for a daemon that can't be asked.
func (e *Executor) unreachable(err error) error {
	at := strings.TrimPrefix(e.api.DaemonHost(), "unix://")
	o := &Obstacle{Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		o.Why = "this user may not use Docker at " + at
		o.Fix = "add it to the group docker (sudo usermod -aG docker USER) and log in again"
	case errors.Is(err, fs.ErrNotExist) && !installed():
		o.Why = "Docker is not installed here, as there is neither dockerd nor " + at
		o.Fix = "install it (Debian: apt install docker.io) or set docker.host"
	case errors.Is(err, fs.ErrNotExist):
		o.Why = "there is no Docker at " + at
		o.Fix = "start it (sudo systemctl start docker), or set docker.host or DOCKER_HOST to where it is"
	case errors.Is(err, syscall.ECONNREFUSED), client.IsErrConnectionFailed(err):
		o.Why, o.Fix = "Docker at "+at+" is stopped", "start it (sudo systemctl start docker)"
	default:
		o.Why, o.Fix = "Docker at "+at+" does not answer as it should", "look into its log (sudo journalctl -u docker)"
	}
	return o
}

// installed says whether there is a daemon that could be started.
func installed() bool {
	_, err := exec.LookPath("dockerd")
	return err == nil
}

// older says whether the API version a is before b.
func older(a, b string) bool {
	amaj, amin := apiVersion(a)
	bmaj, bmin := apiVersion(b)
	return amaj < bmaj || amaj == bmaj && amin < bmin
}

func apiVersion(s string) (major, minor int) {
	a, b, _ := strings.Cut(s, ".")
	major, _ = strconv.Atoi(a) // what is no version is older than all
	minor, _ = strconv.Atoi(b)
	return major, minor
}
