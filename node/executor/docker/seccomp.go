package docker

import (
	"encoding/json"
	"sync"

	"github.com/moby/profiles/seccomp"
)

// seccompProfile is the filter of system calls for a runtime that shares this
// machine's kernel: the newest of Docker's own, whatever age the daemon has. The
// one in Docker 20.10 still let jobs use io_uring, which most of the kernel's holes
// of its years went through, and AF_VSOCK sockets, which no network namespace
// holds and which lead to the hypervisor of a virtual machine. Programs of another
// word size are left out: for them sockets can't be told apart.
var seccompProfile = sync.OnceValue(func() string {
	p := seccomp.DefaultProfile()
	for i := range p.ArchMap {
		p.ArchMap[i].SubArches = nil
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return "" // Docker takes no container with that
	}
	return string(raw)
})

// securityOptions are what Docker is to hold a job by, besides its capabilities.
// gVisor has filters of its own and takes none.
func securityOptions(d daemon) []string {
	options := []string{"no-new-privileges"}
	if d.raw() {
		options = append(options, "seccomp="+seccompProfile())
	}
	return options
}
