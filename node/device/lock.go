package device

import (
	"fmt"
	"io"
)

// deviceLock is held on a device until Close.
type deviceLock interface {
	io.Closer
	// forget drops what those left who asked who holds the lock.
	forget()
}

// HeldError is a device that another process offers.
type HeldError struct {
	PID  int    // 0 if it can't be seen from here
	Name string // of its program; "" if unknown
}

func (e *HeldError) Error() string {
	who := fmt.Sprintf("process %d (%s)", e.PID, e.Name)
	switch {
	case e.PID == 0:
		who = "a process that can't be seen from here, perhaps in a container,"
	case e.Name == "":
		who = fmt.Sprintf("process %d", e.PID)
	}
	return who + " offers it; stop that one, or name the device in devices.reserve of one of the two"
}
