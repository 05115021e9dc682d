// Package sources is the one place that names every way in which souk looks
// for devices, and their order: what two of them find is as the first says.
package sources

import (
	"souk/node/device"
	"souk/node/device/nvml"
	"souk/node/device/opencl"
	"souk/node/device/sysfs"
)

// openCL is OpenCL as the fallback.
type openCL struct{ opencl.Source }

// Explain says what OpenCL would find.
func (openCL) Explain() []string {
	return []string{"Others: no platform of OpenCL's lists a GPU or accelerator; with its maker's OpenCL driver installed (`clinfo` shows it), any is found"}
}

// All are the sources of this machine: NVIDIA's library, the kernel, OpenCL for
// what neither knows, and the devices that the user pretends to have. Its
// errors are *device.SyntaxError.
func All(simulated ...string) ([]device.Source, error) {
	pretended, err := device.ParseSimulated(simulated...)
	if err != nil {
		return nil, err
	}
	return []device.Source{nvml.New(), sysfs.Here(), openCL{}, pretended}, nil
}

// Simulated are only the devices that the user pretends to have, for a
// provider whose executors can't use others.
func Simulated(simulated ...string) ([]device.Source, error) {
	pretended, err := device.ParseSimulated(simulated...)
	return []device.Source{pretended}, err
}
