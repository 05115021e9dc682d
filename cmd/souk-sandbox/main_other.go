//go:build !linux

// Command souk-sandbox runs WebAssembly jobs for a souk provider, on Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "souk-sandbox needs Linux: it shuts jobs in by means that other systems have not")
	os.Exit(1)
}
