//go:build dockertest && runsctest

package hostile_test

import "testing"

// TestRunsc runs every hostile program on gVisor.
func TestRunsc(t *testing.T) { runAll(t, "runsc") }

func TestRunscAlone(t *testing.T) { endAlone(t, "runsc") }
