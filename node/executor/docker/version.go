package docker

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// release is major, minor and patch.
type release [3]int

func (r release) before(o release) bool {
	for i := range r {
		if r[i] != o[i] {
			return r[i] < o[i]
		}
	}
	return false
}

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

var numbers = regexp.MustCompile(`([0-9]+)\.([0-9]+)(?:\.([0-9]+))?`)

// parseRelease finds the first version number in s. A release candidate counts
// as the release before, which is on the safe side.
func parseRelease(s string) (r release, ok bool) {
	at := numbers.FindStringSubmatchIndex(s)
	if at == nil {
		return r, false
	}
	found := numbers.FindStringSubmatch(s)
	for i, part := range found[1:] {
		r[i], _ = strconv.Atoi(part) // digits, or nothing
	}
	rest := strings.TrimLeft(s[at[1]:], "~-.")
	if strings.HasPrefix(rest, "rc") {
		switch {
		case r[2] > 0:
			r[2]--
		case r[1] > 0:
			r[1], r[2] = r[1]-1, 1<<16
		default:
			r = release{r[0] - 1, 1 << 16, 1 << 16}
		}
	}
	return r, true
}

var (
	// CVE-2024-21626: a descriptor of the host's leaks into the container, and an
	// image's WORKDIR reaches the host's files by it.
	safeRunc = release{1, 1, 12}
	// CVE-2025-23266 and CVE-2025-23267: a hook loads what the image's LD_PRELOAD names, as root.
	safeToolkit = release{1, 17, 8}
)

// patched are versions by which distributions fixed CVE-2024-21626 in a release
// before safeRunc: what a package's version starts with, and the revision that
// has the fix. From Debian's DSA-5615-1 and DLA-3735-1, and Ubuntu's USN-6619-1.
var patched = []struct {
	upstream string
	revision *regexp.Regexp
	least    int
}{
	{"1.1.5+ds1-1", regexp.MustCompile(`\+deb12u([0-9]+)`), 1},
	{"1.0.0~rc93+ds1-5", regexp.MustCompile(`\+deb11u([0-9]+)`), 3},
	{"1.0.0~rc6+dfsg1-3", regexp.MustCompile(`\+deb10u([0-9]+)`), 3},
	{"1.1.7-0ubuntu1~22.04", regexp.MustCompile(`~22\.04\.([0-9]+)`), 2},
	{"1.1.7-0ubuntu1~20.04", regexp.MustCompile(`~20\.04\.([0-9]+)`), 2},
}

// checkRunc refuses a runc whose known holes let a container out. Distributions
// fix old releases, and say so in the version that is compiled in as the commit.
func checkRunc(version, commit string) error {
	r, ok := parseRelease(version)
	if ok && !r.before(safeRunc) || backported(commit) || backported(version) {
		return nil
	}
	if !ok {
		return &Obstacle{
			Why: "Docker doesn't say which runc it has, so strangers' jobs don't run on it",
			Fix: fmt.Sprintf("install runc %s or newer (CVE-2024-21626), or runsc", safeRunc),
		}
	}
	return &Obstacle{
		Why: fmt.Sprintf("runc %s lets containers out (CVE-2024-21626), so no stranger's job may run on it", version),
		Fix: fmt.Sprintf("install runc %s or newer, or runsc", safeRunc),
	}
}

func backported(version string) bool {
	for _, p := range patched {
		if !strings.HasPrefix(version, p.upstream) {
			continue
		}
		if found := p.revision.FindStringSubmatch(version); found != nil {
			n, err := strconv.Atoi(found[1])
			return err == nil && n >= p.least
		}
	}
	return false
}

// laterHoles names what was found after safeRunc and takes several containers
// with a mount in common, or mounts of the job's own choosing, which souk never
// gives a job: CVE-2025-31133, CVE-2025-52565, CVE-2025-52881.
func laterHoles(version string) string {
	r, ok := parseRelease(version)
	if ok && (!r.before(release{1, 3, 3}) || !r.before(release{1, 2, 8}) && r.before(release{1, 3, 0})) {
		return ""
	}
	return "; it may lack the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881, so a newer runc is better"
}

// checkToolkit judges what nvidia-ctk says of itself.
func checkToolkit(said string) error {
	r, ok := parseRelease(said)
	if !ok {
		return fmt.Errorf("nvidia-ctk doesn't say its version, so no NVIDIA device may be leased to a container: install nvidia-container-toolkit %s or newer (CVE-2025-23266)", safeToolkit)
	}
	if r.before(safeToolkit) {
		return fmt.Errorf("nvidia-container-toolkit %s lets images run code as root on this machine (CVE-2025-23266), so no NVIDIA device may be leased to a container: install %s or newer", r, safeToolkit)
	}
	return nil
}
