package opencl

import (
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"
)

// fakeDevice answers what a driver would.
type fakeDevice struct {
	kind uint64
	info map[uint32][]byte
}

func words(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func long(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// gpu is a usable GPU.
func gpu(name string, vendor uint32) fakeDevice {
	return fakeDevice{kind: typeGPU, info: map[uint32][]byte{
		infoName: append([]byte(name), 0), infoVendorID: words(vendor), infoGlobalSize: long(8 << 30),
		infoMaxAlloc: long(2 << 30), infoAvailable: words(1), infoCompiler: words(1),
	}}
}

func (d fakeDevice) with(name uint32, value []byte) fakeDevice {
	info := map[uint32][]byte{name: value}
	for k, v := range d.info {
		if k != name {
			info[k] = v
		}
	}
	return fakeDevice{d.kind, info}
}

// fake is a driver that computes nothing and keeps count of its handles.
type fake struct {
	platforms [][]fakeDevice
	live      map[uintptr]string // handles that were given and not taken back
	calls     []string
	fail      string // the call that fails
	status    int32
	log       string
	next      uintptr
}

func (f *fake) call(name string) int32 {
	f.calls = append(f.calls, name)
	if name == f.fail {
		return f.status
	}
	return success
}

func (f *fake) create(name string, status *int32) uintptr {
	if *status = f.call(name); *status != success {
		return 0
	}
	f.next++
	f.live[f.next] = name
	return f.next
}

// device finds what a handle of 100·platform + index + 1 means.
func (f *fake) device(handle uintptr) fakeDevice { return f.platforms[handle/100-1][handle%100] }

func (f *fake) library() *library {
	f.live = map[uintptr]string{}
	release := func(kind string) func(uintptr) int32 {
		return func(handle uintptr) int32 {
			if f.live[handle] != kind {
				return -38 // not such a handle, or not any more
			}
			delete(f.live, handle)
			return f.call("release " + kind)
		}
	}
	l := &library{
		getPlatformIDs: func(size uint32, ids *uintptr, count *uint32) int32 {
			for i := range f.platforms {
				unsafe.Slice(ids, size)[i] = uintptr(i + 1)
			}
			*count = uint32(len(f.platforms))
			return f.call("platforms")
		},
		getDeviceIDs:  f.deviceIDs,
		getDeviceInfo: f.deviceInfo,
		createContext: func(_ uintptr, _ uint32, _ *uintptr, _, _ uintptr, status *int32) uintptr {
			return f.create("context", status)
		},
		createCommandQueue: func(_, _ uintptr, _ uint64, status *int32) uintptr {
			return f.create("queue", status)
		},
		createProgram: func(_ uintptr, _ uint32, _ **byte, _ *uintptr, status *int32) uintptr {
			return f.create("program", status)
		},
		buildProgram: func(uintptr, uint32, *uintptr, *byte, uintptr, uintptr) int32 { return f.call("build") },
		getProgramBuildInfo: func(_, _ uintptr, _ uint32, size uintptr, value unsafe.Pointer, actual *uintptr) int32 {
			*actual = uintptr(copy(unsafe.Slice((*byte)(value), size), f.log))
			return success
		},
		createKernel: func(_ uintptr, _ *byte, status *int32) uintptr { return f.create("kernel", status) },
		setKernelArg: func(uintptr, uint32, uintptr, unsafe.Pointer) int32 { return f.call("argument") },
		createBuffer: func(_ uintptr, _ uint64, _ uintptr, _ unsafe.Pointer, status *int32) uintptr {
			return f.create("buffer", status)
		},
		enqueueNDRangeKernel: func(uintptr, uintptr, uint32, *uintptr, *uintptr, *uintptr, uint32, uintptr, uintptr) int32 {
			return f.call("launch")
		},
		enqueueReadBuffer: func(uintptr, uintptr, uint32, uintptr, uintptr, unsafe.Pointer, uint32, uintptr, uintptr) int32 {
			return f.call("read")
		},
		finish: func(uintptr) int32 { return f.call("finish") },
	}
	l.releaseContext, l.releaseCommandQueue, l.releaseProgram = release("context"), release("queue"), release("program")
	l.releaseKernel, l.releaseMemObject = release("kernel"), release("buffer")
	return l
}

func (f *fake) deviceIDs(platform uintptr, kind uint64, size uint32, ids *uintptr, count *uint32) int32 {
	*count = 0
	for i, d := range f.platforms[platform-1] {
		if d.kind&kind != 0 {
			unsafe.Slice(ids, size)[*count] = 100*platform + uintptr(i)
			*count++
		}
	}
	if status := f.call("devices"); status != success || *count > 0 {
		return status
	}
	return deviceNotFound
}

func (f *fake) deviceInfo(handle uintptr, name uint32, size uintptr, value unsafe.Pointer, actual *uintptr) int32 {
	answer, has := f.device(handle).info[name]
	if !has {
		return invalidValue
	}
	*actual = uintptr(copy(unsafe.Slice((*byte)(value), size), answer))
	return success
}

// left names the handles that nobody gave back.
func (f *fake) left() string {
	var names []string
	for _, name := range f.live {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
