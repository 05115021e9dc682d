package egress

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"souk/node/executor/docker/egress/frame"
)

// Mount is a file or folder of this machine that a container sees, read-only.
type Mount struct {
	Source string // absolute, on this machine
	Target string // absolute, in the container
}

// Wiring is what a container with network none needs to reach its allow-list.
type Wiring struct {
	Mounts     []Mount
	ExtraHosts []string // host:address, as docker run --add-host takes them
	// EntrypointPrefix goes before the whole of the job's program and arguments. It
	// ends by running them in its own place, so process, signals and the exit status
	// are the job's. What it can't run ends with 127 (not found) or 126, and 125 is
	// its own failure, each with a sentence on stderr.
	EntrypointPrefix []string
	// Close ends the execution's connections and removes what Open made.
	Close func() error
}

func wiring(helper, folder string, targets []Target, end func() error) Wiring {
	w := Wiring{
		Mounts:           []Mount{{helper, frame.Helper}, {folder, frame.Folder}},
		EntrypointPrefix: []string{frame.Helper},
		Close:            end,
	}
	local := map[string]string{}
	for _, t := range targets {
		address, known := local[t.Host]
		if !known {
			address = fmt.Sprintf("127.0.0.%d", 2+len(local))
			local[t.Host] = address
			w.ExtraHosts = append(w.ExtraHosts, t.Host+":"+address)
		}
		w.EntrypointPrefix = append(w.EntrypointPrefix, t.String()+"="+address)
	}
	w.EntrypointPrefix = append(w.EntrypointPrefix, frame.Separator)
	return w
}

// maxSocketPath is what fits a socket's address, in bytes, on every system.
const maxSocketPath = 100

// listen makes the socket in folder. Whoever the job runs as may connect; who
// is outside of the container can't pass the folder's parent.
func listen(folder string) (*net.UnixListener, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chmod(folder, 0o755); err != nil { // whatever the umask is
		return nil, err
	}
	path := filepath.Join(folder, frame.SocketName)
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	short, release, err := shorten(folder)
	if err != nil {
		return nil, err
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, frame.SocketName), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // its shortened name is gone by then
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// shorten gives a name of folder that fits a socket's address until release.
func shorten(folder string) (string, func(), error) {
	if len(folder)+1+len(frame.SocketName) <= maxSocketPath {
		return folder, func() {}, nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())), func() { f.Close() }, nil
}
