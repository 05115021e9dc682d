//go:build nodrivers || !(linux || darwin || freebsd)

package opencl

// load finds no OpenCL loader: souk doesn't look for one on this system, or
// it was built to be linked statically, which leaves no way to open a library.
func load() (*library, error) { return nil, nil }
