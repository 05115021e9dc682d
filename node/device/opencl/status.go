package opencl

import (
	"fmt"
	"strconv"
)

// Status codes of the API that are told apart.
const (
	success                 = 0
	deviceNotFound          = -1
	allocationFailed        = -4
	outOfResources          = -5
	outOfHostMemory         = -6
	buildFailed             = -11
	invalidBufferSize       = -61
	platformNotFound        = -1001
	invalidValue            = -30
	deviceNotAvailable      = -2
	compilerNotAvailable    = -3
	invalidDevice           = -33
	invalidKernelName       = -46
	invalidWorkGroupSize    = -54
	invalidCommandQueue     = -36
	executionStatusForEvent = -14
)

var meaning = map[int32]string{
	deviceNotFound:          "device not found",
	deviceNotAvailable:      "device not available",
	compilerNotAvailable:    "compiler not available",
	allocationFailed:        "memory could not be allocated",
	outOfResources:          "out of resources",
	outOfHostMemory:         "out of host memory",
	buildFailed:             "build failed",
	executionStatusForEvent: "an earlier command failed",
	invalidValue:            "invalid value",
	invalidDevice:           "invalid device",
	invalidCommandQueue:     "invalid command queue",
	invalidKernelName:       "invalid kernel name",
	invalidWorkGroupSize:    "invalid work-group size",
	invalidBufferSize:       "invalid buffer size",
	platformNotFound:        "no platform",
}

// Error is a call that the driver refused.
type Error struct {
	Device string // its model; empty while devices are looked for
	Doing  string // "building the kernels"
	Status int32  // as cl.h numbers them
	Log    string // the compiler's own words, cut; mostly empty
}

func (e *Error) Error() string {
	where := "OpenCL"
	if e.Device != "" {
		where = e.Device
	}
	what := meaning[e.Status]
	if what == "" {
		what = "see cl.h"
	}
	text := fmt.Sprintf("%s failed at %s: %s (OpenCL status %s)", where, e.Doing, what, strconv.Itoa(int(e.Status)))
	if e.Log != "" {
		text += ": " + e.Log
	}
	return text
}

// noMemory says whether the status means that there is too little memory.
func noMemory(status int32) bool {
	return status == allocationFailed || status == outOfResources || status == outOfHostMemory || status == invalidBufferSize
}
