//go:build !nodrivers

package cuda

import (
	"fmt"

	"github.com/ebitengine/purego"
)

// load opens the driver's library; it is nil where there is none. It is never closed,
// because the driver doesn't bear being unloaded.
func load() (*library, error) {
	const name = "libcuda.so.1"
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, nil // no driver, or none for this machine's architecture
	}
	l := &library{}
	for symbol, function := range l.symbols() {
		address, err := purego.Dlsym(handle, symbol)
		if err != nil {
			return nil, fmt.Errorf("%s on this machine has no %s; install an NVIDIA driver of CUDA 9.2 (396) or later", name, symbol)
		}
		purego.RegisterFunc(function, address)
	}
	return l, nil
}
