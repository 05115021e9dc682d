//go:build cgo && linux

package nvml

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"souk/node/device"
)

// Source asks NVIDIA's library. It is safe for concurrent use; calls come one
// at a time, because the library itself may be slow.
type Source struct {
	lib  nvml.Interface
	root fs.FS // "/"

	mu      sync.Mutex
	missing error // why there is no session
	open    bool
	driver  string // "550.54.15"
	cuda    string // "12.4"
	events  nvml.EventSet
	watched map[string]bool        // by UUID: its events come
	faults  map[string]string      // by UUID: what happened to it since souk started
	places  map[int]device.Device  // by index: the GPU that was last there
	handles map[string]nvml.Device // by device ID, of the last look
	parents map[string]nvml.Device // by the ID of an instance
}

// New makes a source for this machine's driver. Nothing is loaded yet.
func New() *Source { return newSource(nvml.New(), os.DirFS("/")) }

func newSource(lib nvml.Interface, root fs.FS) *Source {
	return &Source{lib: lib, root: root, faults: map[string]string{}, places: map[int]device.Device{}}
}

// Name is "nvml".
func (s *Source) Name() string { return Name }

var (
	errNoLibrary = errors.New("libnvidia-ml.so.1, a part of NVIDIA's driver, is not here")
	errNoDriver  = errors.New("NVIDIA's library is here, but its driver isn't loaded")
)

// Devices are the GPUs, each followed by its instances, in the library's order.
// The error is device.ErrDriverChanged, or what the library said.
func (s *Source) Devices(ctx context.Context) ([]device.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil || !s.open {
		return nil, err
	}
	count, ret := s.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		s.end() // the next look begins anew
		return nil, failure("counting GPUs", ret)
	}
	s.hear()
	s.handles, s.parents = map[string]nvml.Device{}, map[string]nvml.Device{}
	var gpus []*gpu
	for i := range count {
		if g := s.gpu(i); g != nil {
			gpus = append(gpus, g)
		}
	}
	s.link(gpus)
	var devices []device.Device
	for _, g := range gpus {
		devices = append(devices, g.Device)
		devices = append(devices, s.instances(g)...)
	}
	return devices, ctx.Err()
}

// begin sees to a session; without a driver there is none, and no error.
func (s *Source) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.open {
		if s.replaced() {
			return fmt.Errorf("the library in use was removed from the disk: %w; start the machine anew", device.ErrDriverChanged)
		}
		return nil
	}
	s.missing = nil
	switch ret := s.lib.Init(); ret {
	case nvml.SUCCESS:
		s.open, s.watched = true, map[string]bool{}
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		s.missing = errNoLibrary
		return nil
	case nvml.ERROR_DRIVER_NOT_LOADED:
		s.missing = errNoDriver
		return nil
	default:
		s.missing = failure("starting NVIDIA's library", ret)
		return s.missing
	}
	s.driver, _ = s.lib.SystemGetDriverVersion()
	if version, ret := s.lib.SystemGetCudaDriverVersion(); ret == nvml.SUCCESS {
		s.cuda = fmt.Sprintf("%d.%d", version/1000, version%1000/10)
	}
	return nil
}

func (s *Source) end() {
	if !s.open {
		return
	}
	if s.events != nil {
		_ = s.events.Free()
		s.events = nil
	}
	_ = s.lib.Shutdown()
	s.open = false
}

// Close ends the session with the library.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	return nil
}

// replaced tells that the library that this process has loaded is no longer on
// the disk: an upgrade took it away, and what starts now gets another one.
func (s *Source) replaced() bool {
	maps, err := fs.ReadFile(s.root, "proc/self/maps")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "libnvidia-ml.so") && strings.HasSuffix(strings.TrimSpace(line), "(deleted)") {
			return true
		}
	}
	return false
}

// has tells whether the library knows a function. To call one that it doesn't
// know would end this process.
func (s *Source) has(function string) bool {
	return s.lib.Extensions().LookupSymbol(function) == nil
}

// Explain says why no GPU of NVIDIA's was found.
func (s *Source) Explain() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := "NVIDIA: the driver is here and lists no GPU; see what nvidia-smi says"
	switch {
	case errors.Is(s.missing, errNoLibrary):
		text = "NVIDIA: " + errNoLibrary.Error() + "; install the driver (Debian: nvidia-driver; in a container: start it with --gpus all)"
	case errors.Is(s.missing, errNoDriver):
		text = "NVIDIA: " + errNoDriver.Error() + "; load it with `modprobe nvidia`, or start the machine anew after an installation"
	case !s.open && s.missing != nil:
		text = "NVIDIA: " + s.missing.Error() + "; see what nvidia-smi says"
	case !s.open:
		text = "NVIDIA: the driver doesn't answer; see what nvidia-smi says"
	}
	return []string{text}
}

// failure is an error of the library's; one that follows from an upgrade is
// device.ErrDriverChanged.
func failure(what string, ret nvml.Return) error {
	if ret == nvml.ERROR_LIB_RM_VERSION_MISMATCH {
		return fmt.Errorf("%s: %w; start the machine anew", what, device.ErrDriverChanged)
	}
	return fmt.Errorf("%s: NVIDIA's library says %d (%w)", what, int(ret), ret)
}
