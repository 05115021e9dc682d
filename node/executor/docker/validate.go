package docker

import (
	"fmt"
	"slices"
	"strings"

	"souk/node/executor"
	"souk/protocol/market"
)

// refuse makes a *executor.JobError.
func refuse(format string, args ...any) error { return executor.Refuse(format, args...) }

// unable makes a *executor.ProviderError.
func unable(err error, format string, args ...any) error {
	return &executor.ProviderError{Reason: fmt.Sprintf(format, args...), Err: err}
}

// unavailable makes a *executor.ImageError.
func unavailable(err error, format string, args ...any) error {
	return &executor.ImageError{ProviderError: executor.ProviderError{Reason: fmt.Sprintf(format, args...), Err: err}}
}

// validate adds what a container job has to be: its paths also keep away from
// the kernel's own.
func validate(s executor.Spec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if s.Limits.Memory < market.MinImageMemory {
		return refuse("a container needs at least %d MiB of memory, and this job asks for %d bytes", market.MinImageMemory>>20, s.Limits.Memory)
	}
	if s.Image == nil || s.Image.Ref == "" == !s.Image.Archive.Defined() {
		return refuse("the job names no image, or two; name one, by reference or by the CID of an archive")
	}
	for name := range s.Env {
		if reserved(name) {
			return refuse("the variable %.80s steers programs of this machine that start a container; set it inside the job, as in: env %.80s=... PROGRAM", name, name)
		}
	}
	for _, p := range s.Paths() {
		if !validPath(p) {
			return refuse("%.80q can't be a job's path: it must be absolute and below /, without . or .. or a slash at the end, and not in /proc, /sys or /dev", p)
		}
	}
	return nil
}

// validPath says whether something may be mounted at p in a container.
func validPath(p string) bool {
	return executor.ValidPath(p) && !slices.Contains([]string{"proc", "sys", "dev"}, strings.Split(p, "/")[1])
}

// under says whether p is below the folder dir.
func under(p, dir string) bool { return strings.HasPrefix(p, dir+"/") }
