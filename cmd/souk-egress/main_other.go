//go:build !linux

// Command souk-egress brings the connections of a container without a network
// to its node, on Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "souk-egress needs Linux: it runs inside containers")
	os.Exit(2)
}
