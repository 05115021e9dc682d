package docker

import (
	"testing"

	"github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

func TestEnvironment(t *testing.T) {
	hostile := []string{"PATH=/bin", "LD_PRELOAD=./x.so", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_REQUIRE_CUDA=x", "nvidia_visible_devices=all", "A=b"}
	require.Equal(t, []string{
		"A=c", "HOME=/tmp", "LD_PRELOAD", "NVIDIA_REQUIRE_CUDA", "NVIDIA_VISIBLE_DEVICES=void", "nvidia_visible_devices",
	}, environment(hostile, map[string]string{"A": "c"}, []string{voidDevices}), "a bare name takes the image's away")

	require.Equal(t, []string{"NVIDIA_VISIBLE_DEVICES"}, environment([]string{"NVIDIA_VISIBLE_DEVICES=all", "HOME=/root"}, nil, nil),
		"Docker's nvidia driver sets it")
	require.Equal(t, []string{"HOME=/data"}, environment(nil, map[string]string{"HOME": "/data"}, nil))
}

func TestReservedVariables(t *testing.T) {
	for name, want := range map[string]bool{"LD_PRELOAD": true, "ld_library_path": true, "NVIDIA_X": true, "GCONV_PATH": true, "LDX": false, "PATH": false, "CUDA_VISIBLE_DEVICES": false} {
		require.Equal(t, want, reserved(name), name)
	}
}

func imageWith(change func(*v1.DockerOCIImageConfig)) image.InspectResponse {
	cfg := &v1.DockerOCIImageConfig{}
	cfg.Entrypoint = []string{"/x"}
	change(cfg)
	return image.InspectResponse{Config: cfg, Os: "linux", Architecture: "amd64"}
}

func TestAcceptImage(t *testing.T) {
	job := executor.Spec{Outputs: "/out"}
	volumes, err := acceptImage(imageWith(func(c *v1.DockerOCIImageConfig) {
		c.WorkingDir = "/work"
		c.Volumes = map[string]struct{}{"/data/": {}, "/out": {}, "/tmp": {}, "/a/b": {}, "/a/b/": {}}
	}), "amd64", job)
	require.NoError(t, err)
	require.Equal(t, []string{"/a/b", "/data"}, volumes)

	bad := map[string]func(*v1.DockerOCIImageConfig){
		"no program":       func(c *v1.DockerOCIImageConfig) { c.Entrypoint = nil },
		"host's files":     func(c *v1.DockerOCIImageConfig) { c.WorkingDir = "/proc/self/fd/8" },
		"the same, hidden": func(c *v1.DockerOCIImageConfig) { c.WorkingDir = "/x/../proc/self/fd/8/" },
		"relative":         func(c *v1.DockerOCIImageConfig) { c.WorkingDir = "proc/self" },
		"kernel's volume":  func(c *v1.DockerOCIImageConfig) { c.Volumes = map[string]struct{}{"/sys/x": {}} },
		"root volume":      func(c *v1.DockerOCIImageConfig) { c.Volumes = map[string]struct{}{"/": {}} },
		"relative volume":  func(c *v1.DockerOCIImageConfig) { c.Volumes = map[string]struct{}{"x": {}} },
	}
	for name, change := range bad {
		_, err := acceptImage(imageWith(change), "amd64", job)
		var fault *executor.JobError
		require.ErrorAs(t, err, &fault, name)
	}
	_, err = acceptImage(imageWith(func(*v1.DockerOCIImageConfig) {}), "arm64", job)
	require.ErrorContains(t, err, "linux/arm64")
}

func TestImageLabelsDontReachTheContainer(t *testing.T) {
	require.Equal(t, map[string]string{"souk.node": "n", "souk.execution": "x", "traefik.enable": ""},
		labels("n", "x", map[string]string{"souk.node": "other", "traefik.enable": "true"}))
}
