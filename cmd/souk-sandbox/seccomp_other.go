//go:build linux && !amd64 && !arm64

package main

import "errors"

// filterCalls has a list only for the processors that wazero compiles for.
func filterCalls(...uint32) error { return errors.ErrUnsupported }
