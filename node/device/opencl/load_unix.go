//go:build (linux || darwin || freebsd) && !nodrivers

package opencl

import (
	"fmt"

	"github.com/ebitengine/purego"
)

// load opens the OpenCL loader; it is nil where there is none. It is never
// closed, because drivers don't bear being unloaded.
func load() (*library, error) {
	for _, name := range []string{"libOpenCL.so.1", "libOpenCL.so", "/System/Library/Frameworks/OpenCL.framework/OpenCL"} {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			continue // not there, or not for this machine's architecture
		}
		l := &library{}
		for symbol, function := range l.symbols() {
			address, err := purego.Dlsym(handle, symbol)
			if err != nil {
				return nil, fmt.Errorf("%s on this machine has no %s; install an OpenCL loader of version 1.2 or later", name, symbol)
			}
			purego.RegisterFunc(function, address)
		}
		return l, nil
	}
	return nil, nil
}
