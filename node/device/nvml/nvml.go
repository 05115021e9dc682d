// Package nvml finds NVIDIA's GPUs, and the instances that they are partitioned
// into (MIG), with the library that comes with their driver.
//
// The library is loaded when it is first asked for, so souk starts on machines
// without one. The session with it stays open between looks: that keeps GPUs
// from being set up anew each time. It promises that what a driver doesn't
// support is left out and never an error, and that a GPU which reports errors
// that only a reset ends, or whose driver was replaced under it, says so. It
// changes no setting of any GPU.
//
// Built without cgo, or for another system than Linux, it finds nothing.
package nvml

import "souk/node/device"

// Name of the source.
const Name = "nvml"

// minDriver is the first branch of drivers in which MIG, and all that is read
// here, exists; containers with CUDA 11 and newer need it too.
const minDriver = 450

var (
	_ device.Source    = (*Source)(nil)
	_ device.Explainer = (*Source)(nil)
)
