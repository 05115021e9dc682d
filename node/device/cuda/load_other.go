//go:build !linux || nodrivers

package cuda

// load finds no driver: souk doesn't look for one on this system, or it
// was built to be linked statically, which leaves no way to open a library.
func load() (*library, error) { return nil, nil }
