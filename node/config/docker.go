package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"souk/internal/pattern"
)

func dockerFields() []field {
	const p = "docker."
	text := func(to func(*Config) *string) func(*Config, string) error {
		return func(c *Config, s string) error {
			*to(c) = s
			return nil
		}
	}
	return []field{
		one(p+"host", "the daemon's address", "", text(func(c *Config) *string { return &c.Docker.Host })).or("$DOCKER_HOST, else unix:///var/run/docker.sock"),
		one(p+"allow_runc", "let strangers' containers share this machine's kernel where runsc (gVisor) is not installed", "false", func(c *Config, s string) error { return boolean(&c.Docker.AllowRunc, s) }),
		one(p+"runtime", "what containers run on", "", text(func(c *Config) *string { return &c.Docker.Runtime })).or("runsc where installed, else runc if docker.allow_runc"),
		one(p+"pull", "pull images that jobs name; false: only archives, and what is here", "true", func(c *Config, s string) error { return boolean(&c.Docker.Pull, s) }),
		one(p+"max_image", "the largest image, unpacked", "0", func(c *Config, s string) error { return size(&c.Docker.MaxImage, s) }).or("64GiB"),
		one(p+"cache", "how much of images is kept for later jobs", "0", func(c *Config, s string) error { return size(&c.Docker.Cache, s) }).or("100GiB"),
		one(p+"auth", "path of a Docker config.json with your registries' credentials", "", readAuth).or("images are pulled without"),
		many(p+"registries", "registries with private addresses that images may come from, as host or host:port", readRegistries),
		one(p+"egress", "where jobs may connect to: none, or public, which are the public places that their leases name", "none", readEgress),
		one(p+"init_helper", "path of the souk-init program", "", text(func(c *Config) *string { return &c.Docker.InitPath })).or("beside souk, else in $PATH"),
		one(p+"egress_helper", "path of the souk-egress program", "", text(func(c *Config) *string { return &c.Docker.EgressPath })).or("beside souk, else in $PATH"),
	}
}

func readExecutors(c *Config, v []string) error {
	for i, e := range v {
		switch {
		case !slices.Contains([]string{"auto", "wasm", "docker"}, e):
			return fmt.Errorf("%.40q is no executor that this release has; use auto, or some of wasm and docker", e)
		case slices.Contains(v[:i], e):
			return fmt.Errorf("%s stands there twice", e)
		case e == "auto" && len(v) > 1:
			return fmt.Errorf("auto stands beside others; use auto alone, or some of wasm and docker")
		}
	}
	if len(v) == 0 {
		return fmt.Errorf("a provider needs an executor; use auto, or some of wasm and docker")
	}
	c.Provider.Executors = v
	return nil
}

func readAuth(c *Config, s string) error {
	if s != "" && !filepath.IsAbs(s) {
		return fmt.Errorf("%.100q is not an absolute path, such as /home/you/.docker/config.json", s)
	}
	c.Docker.Auth = s
	return nil
}

func readEgress(c *Config, s string) error {
	if s != "none" && s != "public" {
		return fmt.Errorf("%.40q is neither none nor public", s)
	}
	c.Docker.Egress = s == "public"
	return nil
}

var registryShape = pattern.Lazy(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)

func readRegistries(c *Config, v []string) error {
	for _, r := range v {
		if !registryShape().MatchString(strings.ToLower(r)) {
			return fmt.Errorf("%.100q is no registry; write a host or host:port, such as registry.example:5000", r)
		}
	}
	c.Docker.Registries = v
	return nil
}
