package docker

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"souk/node/executor"
)

const (
	root       = "0:0"    // souk-init for a moment; the job is nobody
	basePids   = 1024     // processes and threads that a job may have at once,
	pidsPerCPU = 256      // and as many besides for each core: frameworks start some on each
	maxFiles   = 16 << 10 // open files of a process; a daemon can't give more than it has
	maxVolumes = 32       // that an image may declare
	minShm     = 64 << 20
)

// plan is all that a container is made of.
type plan struct {
	spec    executor.Spec
	dir     string // the workspace
	node    string
	image   image.InspectResponse
	daemon  daemon
	grant   grant
	first   first
	wiring  *Wiring // nil without egress
	cgroup  string
	volumes []string // guest paths of the image's volumes that nothing else is mounted at
}

// options is the hardened container of a plan.
func (p plan) options() client.ContainerCreateOptions {
	cfg := p.image.Config
	c := &container.Config{
		User:        root,
		Env:         environment(cfg.Env, p.spec.Env, p.grant.env),
		Entrypoint:  p.first.entrypoint(p.spec.Limits.Time),
		Cmd:         p.spec.Args,
		Image:       p.image.ID,
		Labels:      labels(p.node, p.spec.ID, cfg.Labels),
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}}, // it would run beside the job
	}
	if p.wiring != nil {
		c.Entrypoint = append(c.Entrypoint, p.wiring.EntrypointPrefix...)
	}
	c.Entrypoint = append(c.Entrypoint, cfg.Entrypoint...)
	if len(c.Cmd) == 0 { // an entrypoint of one's own drops the image's command too
		c.Cmd = cfg.Cmd
	}
	return client.ContainerCreateOptions{Config: c, HostConfig: p.host(), Name: "souk-" + p.node + "-" + p.spec.ID}
}

// labels are the container's, without those of the image: some programs that
// watch Docker act on labels.
func labels(node, id string, image map[string]string) map[string]string {
	all := make(map[string]string, len(image)+2)
	for name := range image {
		all[name] = ""
	}
	all[LabelNode], all[LabelExecution] = node, id
	return all
}

func (p plan) host() *container.HostConfig {
	l := p.spec.Limits
	pids := int64(basePids + pidsPerCPU*max(l.CPU, 1))
	h := &container.HostConfig{
		Runtime:        p.daemon.Runtime,
		NetworkMode:    "none",
		IpcMode:        container.IPCModePrivate,
		CgroupnsMode:   container.CgroupnsModePrivate,
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		CapAdd:         firstCapabilities,
		SecurityOpt:    securityOptions(p.daemon),
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		ShmSize:        min(max(l.Memory/2, minShm), l.Memory), // in memory, and counted as such
		OomScoreAdj:    500,                                    // rather the job than the node
		LogConfig:      logConfig(l.Log),
		Mounts:         p.mounts(),
		Resources: container.Resources{
			CgroupParent:   p.cgroup,
			Memory:         l.Memory,
			MemorySwap:     l.Memory, // none
			NanoCPUs:       int64(max(l.CPU, 1)) * 1e9,
			PidsLimit:      &pids,
			Devices:        p.grant.nodes,
			DeviceRequests: p.grant.requests,
			Ulimits: []*container.Ulimit{
				{Name: "core", Soft: 0, Hard: 0},
				{Name: "nofile", Soft: maxFiles, Hard: maxFiles},
			},
		},
	}
	if p.cgroup != "" {
		h.CgroupParent = "/" + p.cgroup
	}
	if p.wiring != nil {
		h.ExtraHosts = p.wiring.ExtraHosts
	}
	return h
}

// logConfig keeps the daemon's copy of the log: twice what the job may log, in
// two files, so that the whole of it is there while the node is away. The driver
// keeps bytes as they are, which json-file does not.
func logConfig(limit int64) container.LogConfig {
	return container.LogConfig{Type: "local", Config: map[string]string{
		"max-size": strconv.FormatInt(2*limit+1<<20, 10), "max-file": "2", "compress": "false",
	}}
}

// mounts are the inputs, the helpers, and the parts of the disk.
func (p plan) mounts() []mount.Mount {
	at := func(parts ...string) string { return filepath.Join(append([]string{p.dir}, parts...)...) }
	var all []mount.Mount
	for i, in := range p.spec.Inputs {
		all = append(all, bind(at(inputsDir, strconv.Itoa(i)), in.At, true))
	}
	if p.spec.Outputs != "" {
		all = append(all, bind(at(diskDir, outDir), p.spec.Outputs, false))
	}
	if !taken(p.spec, scratch) {
		all = append(all, bind(at(diskDir, scratchDir), scratch, false))
	}
	for i, v := range p.volumes {
		all = append(all, bind(at(diskDir, volumesDir, strconv.Itoa(i)), v, false))
	}
	helpers := p.first.mounts()
	if p.wiring != nil {
		helpers = append(helpers, p.wiring.Mounts...)
	}
	for _, m := range helpers {
		all = append(all, bind(m.Source, m.Target, true))
	}
	return all
}

func bind(source, target string, readOnly bool) mount.Mount {
	return mount.Mount{
		Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly,
		BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate},
	}
}

// taken says whether the job itself has something at a guest path.
func taken(s executor.Spec, at string) bool {
	return s.Outputs == at || slices.ContainsFunc(s.Inputs, func(in executor.Input) bool { return in.At == at })
}

// acceptImage refuses an image that can't run here or means harm, and gives
// its volumes, which would be folders of unlimited size if Docker made them.
func acceptImage(img image.InspectResponse, arch string, s executor.Spec) (volumes []string, err error) {
	cfg := img.Config
	switch {
	case cfg == nil:
		return nil, refuse("the image has no configuration")
	case img.Os != "linux" || img.Architecture != arch:
		return nil, refuse("the image is for %.40s/%.40s, and this provider runs linux/%s; choose an image for that, or another provider", img.Os, img.Architecture, arch)
	case len(cfg.Entrypoint)+len(cfg.Cmd)+len(s.Args) == 0:
		return nil, refuse("the image names no program to run, and the job has no arguments; name a program")
	case len(cfg.Volumes) > maxVolumes:
		return nil, refuse("the image declares %d volumes, and at most %d are allowed", len(cfg.Volumes), maxVolumes)
	case cfg.WorkingDir != "" && !workable(cfg.WorkingDir):
		return nil, refuse("the image's working directory %.80q is none of its own", cfg.WorkingDir)
	}
	for _, v := range slices.Sorted(maps.Keys(cfg.Volumes)) {
		clean := path.Clean(v)
		if !validPath(clean) {
			return nil, refuse("the image declares a volume at %.80q, where none can be", v)
		}
		if clean != scratch && !taken(s, clean) {
			volumes = append(volumes, clean)
		}
	}
	return slices.Compact(volumes), nil
}

// workable keeps a working directory out of the kernel's file systems, by which
// a container once got out (CVE-2024-21626).
func workable(dir string) bool {
	dir = path.Clean("/" + dir)
	return dir == "/" || !slices.ContainsFunc([]string{"/proc", "/sys", "/dev"}, func(k string) bool {
		return dir == k || under(dir, k)
	})
}
