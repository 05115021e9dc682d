package cuda

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"souk/node/device/kernel"
)

// maxLog is how much of the compiler's log goes into an error.
const maxLog = 600

// Options of cuModuleLoadDataEx.
const (
	jitErrorLog     = 5
	jitErrorLogSize = 6
)

// Kernel computes on one CUDA device.
type Kernel struct {
	lib    *library
	device found

	mutex           sync.Mutex // one computation at a time
	context, module uintptr
	kernels         map[string]uintptr
	closed          bool
}

var _ kernel.Kernel = (*Kernel)(nil)

// errClosed is a use after Close or Release.
var errClosed = errors.New("the device was closed; open it again")

// open compiles the kernels for the device. On an error nothing stays behind.
func open(lib *library, f found) (_ *Kernel, err error) {
	k := &Kernel{lib: lib, device: f, kernels: map[string]uintptr{}}
	if err := k.check("taking the device", lib.primaryCtxRetain(&k.context, f.number)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = k.Close() // the first error says more
		}
	}()
	err = k.inContext(func() error {
		if err := k.compile(); err != nil {
			return err
		}
		for _, name := range []string{"entries", "multiply", "fill", "sweep", "chase"} {
			var function uintptr
			if err := k.check("finding "+name, lib.moduleGetFunction(&function, k.module, &cstring(name)[0])); err != nil {
				return err
			}
			k.kernels[name] = function
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// compile gives the driver the PTX.
func (k *Kernel) compile() error {
	log := make([]byte, 16<<10)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&log[0])
	options := []int32{jitErrorLog, jitErrorLogSize}
	// The driver reads sizes from where pointers stand, so these are numbers; log is pinned.
	values := []uintptr{uintptr(unsafe.Pointer(&log[0])), uintptr(len(log))}
	var module uintptr
	status := k.lib.moduleLoadDataEx(&module, &cstring(ptx())[0], uint32(len(options)), &options[0], &values[0])
	if status == success {
		k.module = module
		return nil
	}
	log, _, _ = bytes.Cut(log, []byte{0})
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(log), "?")), " ")
	if len(line) > maxLog {
		line = strings.ToValidUTF8(line[:maxLog], "") + " …"
	}
	return &Error{Device: k.device.Model, Doing: "compiling the kernels", Status: status, Log: line}
}

func cstring(s string) []byte { return append([]byte(s), 0) }

// inContext calls do with the device's context current, which is a property of the thread.
func (k *Kernel) inContext(do func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := k.check("entering its context", k.lib.ctxPushCurrent(k.context)); err != nil {
		return err
	}
	defer func() {
		var old uintptr
		err = errors.Join(err, k.check("leaving its context", k.lib.ctxPopCurrent(&old)))
	}()
	return do()
}

func (k *Kernel) check(doing string, status int32) error {
	if status == success {
		return nil
	}
	return &Error{Device: k.device.Model, Doing: doing, Status: status}
}

// Name is the model, and that CUDA drives it.
func (k *Kernel) Name() string { return k.device.Model + " by CUDA" }

// DeviceID is the ID that Devices lists.
func (k *Kernel) DeviceID() string { return k.device.ID }

// Close gives back module and context. It is safe to call more than once.
func (k *Kernel) Close() error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.closed {
		return nil
	}
	k.closed = true
	var unloaded error
	if k.module != 0 {
		unloaded = k.inContext(func() error { return k.check("unloading the kernels", k.lib.moduleUnload(k.module)) })
	}
	return errors.Join(unloaded, k.check("giving the device back", k.lib.primaryCtxRelease(k.device.number)))
}
