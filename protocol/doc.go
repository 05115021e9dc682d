// Package protocol has nothing but the tests that hold docs/spec.md against
// the packages below it, which are what goes over the wire: market has the
// documents, wire the frames, and the others a stream protocol each.
package protocol
