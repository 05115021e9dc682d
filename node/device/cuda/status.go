package cuda

import "fmt"

// Status codes of the driver that are told apart, as cuda.h numbers them.
const (
	success            = 0
	invalidValue       = 1
	outOfMemory        = 2
	insufficientDriver = 35
	stubLibrary        = 34
	noDevice           = 100
)

var meaning = map[int32]string{
	invalidValue: "invalid value",
	outOfMemory:  "out of memory",
	3:            "the driver isn't started",
	4:            "the driver shuts down",
	46:           "the device is busy or not available",
	101:          "invalid device",
	200:          "the kernels were refused as no PTX",
	201:          "invalid context",
	209:          "no kernel for this device",
	214:          "uncorrectable memory error (ECC)",
	216:          "another process has the device for itself",
	218:          "the kernels' PTX was refused",
	221:          "the driver has no PTX compiler",
	222:          "the driver is too old for the kernels' PTX; install CUDA 9.2 (396) or later",
	500:          "not found",
	700:          "a kernel used memory that isn't its own",
	701:          "too many resources for a launch",
	702:          "a kernel ran too long",
	719:          "a kernel failed",
	802:          "the system isn't ready",
	803:          "driver and library are of different versions; restart the machine, or reload the driver",
	999:          "unknown error",
}

// Error is a call that the driver refused.
type Error struct {
	Device string // its model; empty while devices are looked for
	Doing  string // "compiling the kernels"
	Status int32  // CUresult
	Log    string // the compiler's own words, cut; mostly empty
}

func (e *Error) Error() string {
	where := "CUDA"
	if e.Device != "" {
		where = e.Device
	}
	what := meaning[e.Status]
	if what == "" {
		what = "see CUresult in cuda.h"
	}
	text := fmt.Sprintf("%s failed at %s: %s (CUDA status %d)", where, e.Doing, what, e.Status)
	if e.Log != "" {
		text += ": " + e.Log
	}
	return text
}
