package kernel

import (
	"fmt"

	"souk/internal/modmath"
	"souk/internal/quantity"
)

func (e *MemoryError) Error() string {
	want := quantity.Format(int64(e.Want))
	if e.Have == 0 {
		return fmt.Sprintf("%s can't give %s of its memory; ask for less, or end what else uses it", e.Device, want)
	}
	return fmt.Sprintf("%s has %s of memory for this and can't give %s; ask for less, or end what else uses it",
		e.Device, quantity.Format(int64(e.Have)), want)
}

// CheckSteps says what is wrong with the length of a chase.
func CheckSteps(steps int) error {
	if steps < 1 || steps > modmath.MaxSteps {
		return fmt.Errorf("a chase of %d steps can't be asked for; it has 1 to %d", steps, modmath.MaxSteps)
	}
	return nil
}

// NotFoundError is a device that a driver doesn't have.
type NotFoundError struct {
	Driver string // "opencl"; "" is every one
	ID     string
}

func (e *NotFoundError) Error() string {
	if e.Driver == "" {
		return fmt.Sprintf("no driver here computes on %s; its maker's, with CUDA or OpenCL, would", e.ID)
	}
	return fmt.Sprintf("%s doesn't know %s", e.Driver, e.ID)
}
