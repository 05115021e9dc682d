package opencl

import (
	"bytes"
	_ "embed" // the kernels' text
	"errors"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"souk/node/device/kernel"
)

//go:embed kernels.cl
var kernels string

// maxLog is how much of a compiler's log goes into an error.
const maxLog = 600

// infoBuildLog is CL_PROGRAM_BUILD_LOG.
const infoBuildLog = 0x1183

// Kernel computes on one OpenCL device.
type Kernel struct {
	lib    *library
	device found

	mutex                   sync.Mutex // one computation at a time
	context, queue, program uintptr
	kernels                 map[string]uintptr
	release                 []func() int32 // in the order of making
	closed                  bool
}

var _ kernel.Kernel = (*Kernel)(nil)

// errClosed is a use after Close.
var errClosed = errors.New("the device was closed; open it again")

// open compiles the text for the device. On an error nothing stays behind.
func open(lib *library, f found, text string) (_ *Kernel, err error) {
	k := &Kernel{lib: lib, device: f, kernels: map[string]uintptr{}}
	defer func() {
		if err != nil {
			_ = k.Close() // the first error says more
		}
	}()
	var status int32
	k.context = lib.createContext(0, 1, &k.device.handle, 0, 0, &status)
	if err := k.check("making a context", status); err != nil {
		return nil, err
	}
	k.made(lib.releaseContext, k.context)
	k.queue = lib.createCommandQueue(k.context, f.handle, 0, &status)
	if err := k.check("making a command queue", status); err != nil {
		return nil, err
	}
	k.made(lib.releaseCommandQueue, k.queue)
	if err := k.build(text); err != nil {
		return nil, err
	}
	for _, name := range []string{"entries", "multiply", "fill", "sweep", "chase"} {
		handle := lib.createKernel(k.program, &cstring(name)[0], &status)
		if err := k.check("preparing "+name, status); err != nil {
			return nil, err
		}
		k.made(lib.releaseKernel, handle)
		k.kernels[name] = handle
	}
	return k, nil
}

// build compiles the text.
func (k *Kernel) build(text string) error {
	source := cstring(text)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&source[0])
	start, length := &source[0], uintptr(len(text))
	var status int32
	k.program = k.lib.createProgram(k.context, 1, &start, &length, &status)
	if err := k.check("taking the kernels' text", status); err != nil {
		return err
	}
	k.made(k.lib.releaseProgram, k.program)
	status = k.lib.buildProgram(k.program, 1, &k.device.handle, &cstring("-cl-std=CL1.2")[0], 0, 0)
	if status == success {
		return nil
	}
	return &Error{Device: k.device.Model, Doing: "building the kernels", Status: status, Log: k.buildLog()}
}

// buildLog is what the compiler said, on one line.
func (k *Kernel) buildLog() string {
	log := make([]byte, 64<<10)
	var actual uintptr
	status := k.lib.getProgramBuildInfo(k.program, k.device.handle, infoBuildLog, uintptr(len(log)), unsafe.Pointer(&log[0]), &actual)
	if status != success {
		return ""
	}
	log, _, _ = bytes.Cut(log[:min(int(actual), len(log))], []byte{0})
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(log), "?")), " ")
	if len(line) > maxLog {
		line = strings.ToValidUTF8(line[:maxLog], "") + " …"
	}
	return line
}

func cstring(s string) []byte { return append([]byte(s), 0) }

// made remembers how to give a handle back.
func (k *Kernel) made(release func(uintptr) int32, handle uintptr) {
	k.release = append(k.release, func() int32 { return release(handle) })
}

func (k *Kernel) check(doing string, status int32) error {
	if status == success {
		return nil
	}
	return &Error{Device: k.device.Model, Doing: doing, Status: status}
}

// Name is the model, and that OpenCL drives it.
func (k *Kernel) Name() string { return k.device.Model + " by OpenCL" }

// DeviceID is the ID that Devices lists.
func (k *Kernel) DeviceID() string { return k.device.ID }

// Close gives back every handle. It is safe to call more than once.
func (k *Kernel) Close() error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	var failed []error
	for i := len(k.release) - 1; i >= 0; i-- {
		failed = append(failed, k.check("giving back what it holds", k.release[i]()))
	}
	k.release, k.closed = nil, true
	return errors.Join(failed...)
}
