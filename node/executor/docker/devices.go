package docker

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/moby/moby/api/types/container"

	"souk/node/executor"
)

const toolkitTimeout = 10 * time.Second

// grant is what a container gets of the leased devices.
type grant struct {
	requests []container.DeviceRequest
	nodes    []container.DeviceMapping
	env      []string // settles which devices NVIDIA's runtime passes in
}

// grantDevices turns the leased devices into what Docker is asked for: exactly these.
func (e *Executor) grantDevices(ctx context.Context, d daemon, devices []executor.Device) (g grant, err error) {
	var nvidia []string
	for _, dev := range devices {
		switch {
		case dev.Simulated:
		case dev.Vendor == "nvidia":
			nvidia = append(nvidia, dev.ID)
		default:
			nodes, err := e.deviceNodes(dev)
			if err != nil {
				return g, err
			}
			g.nodes = append(g.nodes, nodes...)
		}
	}
	g.env = []string{voidDevices}
	if len(nvidia) == 0 {
		return g, nil
	}
	if err := toolkit(ctx); err != nil {
		return g, err
	}
	if d.CDI {
		for i, id := range nvidia {
			nvidia[i] = "nvidia.com/gpu=" + id
		}
		g.requests = []container.DeviceRequest{{Driver: "cdi", DeviceIDs: nvidia}}
		return g, nil
	}
	// Docker's own nvidia driver sets the variable that the hook reads.
	g.env = nil
	g.requests = []container.DeviceRequest{{
		Driver: "nvidia", DeviceIDs: nvidia, Capabilities: [][]string{{"gpu", "compute", "utility"}},
	}}
	return g, nil
}

func (e *Executor) deviceNodes(dev executor.Device) ([]container.DeviceMapping, error) {
	var paths []string
	if e.cfg.DeviceNodes != nil {
		paths = e.cfg.DeviceNodes(dev.ID)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("device %s of vendor %q has no device file that could be passed into a container", dev.ID, dev.Vendor)
	}
	nodes := make([]container.DeviceMapping, 0, len(paths))
	for _, p := range paths {
		nodes = append(nodes, container.DeviceMapping{PathOnHost: p, PathInContainer: p, CgroupPermissions: "rw"})
	}
	return nodes, nil
}

// Passable says in a sentence why a vendor's devices can't be passed into
// containers here, as far as that is known without Docker; nil if they can.
func Passable(ctx context.Context, vendor string) error {
	if vendor != "nvidia" {
		return nil
	}
	return toolkit(ctx)
}

// toolkit asks the installed NVIDIA container toolkit for its version. It is
// asked each time: an upgrade needs no restart of the node.
func toolkit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, toolkitTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-ctk", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("nvidia-ctk is not here, so no NVIDIA device can be passed into a container: install nvidia-container-toolkit %s or newer", safeToolkit)
	}
	if err != nil {
		return fmt.Errorf("nvidia-ctk can't be run, so no NVIDIA device can be passed into a container: install nvidia-container-toolkit %s or newer (%w)", safeToolkit, err)
	}
	return checkToolkit(string(out))
}
