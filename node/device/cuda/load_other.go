//go:build !linux

package cuda

// load finds no driver: souk doesn't look for one on this system.
func load() (*library, error) { return nil, nil }
