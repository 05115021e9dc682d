package cuda

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// fake is a driver whose device is an interpreter. It keeps count of what it gave.
type fake struct {
	names   []string
	vram    uintptr
	fail    string // the call that fails
	after   int    // how many of them succeed before
	status  int32
	log     string
	calls   []string
	live    map[string]int
	current []uintptr // contexts of the thread
	heap    *heap
	entries map[string]*entry
	byID    []*entry
	err     error // of a kernel
}

func newFake(names ...string) *fake {
	return &fake{names: names, vram: 8 << 30, live: map[string]int{}, heap: &heap{map[uint64][]byte{}, 0x7f0000000000}}
}

func (f *fake) call(name string) int32 {
	f.calls = append(f.calls, name)
	if name == f.fail {
		if f.after == 0 {
			return f.status
		}
		f.after--
	}
	return success
}

// inside is call for what needs a current context.
func (f *fake) inside(name string) int32 {
	if len(f.current) == 0 {
		return 201
	}
	return f.call(name)
}

// count is inside for what gives (+1) or takes back (−1) something.
func (f *fake) count(name, what string, by int) int32 {
	status := f.inside(name)
	if status == success {
		f.live[what] += by
	}
	return status
}

func (f *fake) library() *library {
	l := &library{
		initialize:     func(uint32) int32 { return f.call("init") },
		deviceGetCount: func(n *int32) int32 { *n = int32(len(f.names)); return f.call("count") },
		deviceGet:      func(d *int32, i int32) int32 { *d = i + 10; return f.call("device") },
		deviceGetName: func(name *byte, size, d int32) int32 {
			copy(unsafe.Slice(name, size), f.names[d-10]+"\x00")
			return f.call("name")
		},
		deviceGetUUID: func(uuid *byte, d int32) int32 {
			copy(unsafe.Slice(uuid, 16), []byte{0x5a, 0x0d, 15: byte(d)})
			return f.call("uuid")
		},
		deviceTotalMem: func(bytes *uintptr, _ int32) int32 { *bytes = f.vram; return f.call("memory") },
		launchKernel:   f.launch,
	}
	f.serveContexts(l)
	f.serveMemory(l)
	return l
}

func (f *fake) serveContexts(l *library) {
	const context, module = 77, 88
	l.primaryCtxRetain = func(c *uintptr, _ int32) int32 {
		if f.call("retain") != success {
			return f.status
		}
		*c = context
		f.live["context"]++
		return success
	}
	l.primaryCtxRelease = func(int32) int32 { f.live["context"]--; return f.call("release") }
	l.ctxPushCurrent = func(c uintptr) int32 {
		if status := f.call("push"); status != success || c != context || f.live["context"] == 0 {
			return max(status, 201)
		}
		f.current = append(f.current, c)
		return success
	}
	l.ctxPopCurrent = func(*uintptr) int32 {
		f.current = f.current[:len(f.current)-1]
		return f.call("pop")
	}
	l.ctxSynchronize = func() int32 { return f.inside("synchronize") }
	l.moduleLoadDataEx = func(m *uintptr, image *byte, n uint32, o *int32, v *uintptr) int32 {
		*m = module
		return f.load(image, n, o, v)
	}
	l.moduleUnload = func(uintptr) int32 { return f.count("unload", "module", -1) }
	l.moduleGetFunction = func(function *uintptr, m uintptr, name *byte) int32 {
		e := f.entries[gostring(name)]
		if e == nil || m != module {
			return 500
		}
		f.byID = append(f.byID, e)
		*function = uintptr(len(f.byID))
		return f.inside("function")
	}
}

func (f *fake) serveMemory(l *library) {
	l.memGetInfo = func(free, total *uintptr) int32 { *free, *total = 1<<20, f.vram; return f.inside("info") }
	l.memAlloc = func(address *uint64, bytes uintptr) int32 {
		status := f.count("allocate", "memory", 1)
		if status == success {
			*address = f.heap.allocate(uint64(bytes))
		}
		return status
	}
	l.memFree = func(address uint64) int32 {
		if f.heap.areas[address] == nil {
			return invalidValue
		}
		delete(f.heap.areas, address)
		return f.count("free", "memory", -1)
	}
	l.memcpyDtoH = func(to unsafe.Pointer, from uint64, bytes uintptr) int32 {
		copy(unsafe.Slice((*byte)(to), bytes), f.heap.find(from, 4)[:bytes])
		return f.inside("copy")
	}
}

// gostring reads up to the zero byte, and no further.
func gostring(s *byte) string {
	length := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(s), length)) != 0 {
		length++
	}
	return unsafe.String(s, length)
}

// load compiles the module and writes what is wrong to the caller's log.
func (f *fake) load(image *byte, count uint32, options *int32, values *uintptr) int32 {
	status := f.count("load", "module", 1)
	if status == success {
		if f.entries, f.err = parse(gostring(image)); f.err != nil {
			status, f.log = 218, f.err.Error()
		}
	}
	if o := unsafe.Slice(options, count); !slices.Equal(o, []int32{jitErrorLog, jitErrorLogSize}) {
		return invalidValue
	}
	v := unsafe.Slice(values, count)
	copy(unsafe.Slice(*(**byte)(unsafe.Pointer(&v[0])), v[1]), f.log+"\x00")
	return status
}

func (f *fake) launch(function uintptr, gx, gy, gz, bx, by, bz, shared uint32, stream uintptr, params *unsafe.Pointer, extra uintptr) int32 {
	status := f.inside("launch")
	if status != success {
		return status
	}
	if min(gx, gy, bx, by) == 0 || gy > 65535 || bx*by > 1024 || gz != 1 || bz != 1 || shared != 0 || stream != 0 || extra != 0 {
		return invalidValue
	}
	e := f.byID[function-1]
	values := make([]uint64, len(e.params))
	for i, p := range unsafe.Slice(params, len(e.params)) {
		values[i] = get(unsafe.Slice((*byte)(p), e.params[i].bytes), e.params[i].bytes)
	}
	if err := e.launch(grid{gx, gy, bx, by}, values, f.heap); err != nil {
		f.err = err
		return 719
	}
	return success
}

// left says what nobody gave back.
func (f *fake) left() string {
	text := ""
	for _, what := range []string{"context", "module", "memory"} {
		if f.live[what] != 0 {
			text += fmt.Sprintf("%s %d ", what, f.live[what])
		}
	}
	return text + strings.Repeat("current ", len(f.current))
}
