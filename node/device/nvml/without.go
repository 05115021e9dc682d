//go:build !cgo || !linux

package nvml

import (
	"context"

	"souk/node/device"
)

// Source finds nothing in this build.
type Source struct{}

// New makes a source that finds nothing.
func New() *Source { return &Source{} }

// Name is "nvml".
func (*Source) Name() string { return Name }

// Devices finds nothing.
func (*Source) Devices(context.Context) ([]device.Device, error) { return nil, nil }

// Explain says why nothing is found.
func (*Source) Explain() []string {
	return []string{"NVIDIA: this souk was built without cgo or for another system than Linux and can't ask NVIDIA's driver; build it with CGO_ENABLED=1 on Linux"}
}
