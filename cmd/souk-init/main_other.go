//go:build !linux

// Command souk-init is the first process of a container, on Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "souk-init needs Linux: it runs inside containers")
	os.Exit(2)
}
