//go:build !cgo

package fastkey

// Install does nothing where there is no C.
func Install() {}
