// Package hostile is the suite of malware that the docker executor is held
// against, on runc and on gVisor's runsc: fork bombs, memory and disk fills,
// log floods, probes of devices and network, and the known ways out of a container.
//
// The folder guest holds the hostile programs. Each says from inside how far
// it came; the tests look from outside that the machine is as it was, that the
// limit which was hit is named, and that nothing is left ten seconds later.
// The package holds tests alone, which need a Docker daemon (build tag
// dockertest), and for gVisor's part one that knows runsc (runsctest as well).
package hostile
