package docker

import (
	"cmp"
	"slices"
	"strings"

	"souk/node/executor/docker/pid1"
)

// voidDevices tells NVIDIA's runtime to pass no device in, whatever the image asks for.
const voidDevices = "NVIDIA_VISIBLE_DEVICES=void"

// reserved says whether a variable may reach or steer what starts a container:
// hooks once inherited a container's environment and loaded what LD_PRELOAD
// named (CVE-2025-23266), and NVIDIA's runtime takes its devices from there.
func reserved(name string) bool {
	name = strings.ToUpper(name)
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "NVIDIA_") ||
		slices.Contains([]string{"GLIBC_TUNABLES", "GCONV_PATH"}, name)
}

// environment is what a container is given besides its image's: the job's
// variables, a home that can be written, and for each of the image's that must
// not get through its bare name, which takes it away.
func environment(image []string, job map[string]string, leased []string) []string {
	env := slices.Clone(leased)
	home := false
	for _, pair := range image {
		name, _, _ := strings.Cut(pair, "=")
		given := slices.ContainsFunc(leased, func(l string) bool { return strings.HasPrefix(l, name+"=") })
		if reserved(name) && !given {
			env = append(env, name)
		}
		if _, given := job[name]; pid1.Covered(name) {
			env = append(env, name)
			if !given {
				env = append(env, pid1.Cover(pair))
			}
		}
		home = home || name == "HOME"
	}
	if _, given := job["HOME"]; !home && !given {
		env = append(env, "HOME="+scratch)
	}
	for name, value := range job {
		if pid1.Covered(name) {
			name = pid1.Cover(name)
		}
		env = append(env, name+"="+value)
	}
	slices.SortFunc(env, cmp.Compare[string])
	return slices.Compact(env)
}
