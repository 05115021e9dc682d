//go:build cgo && linux

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// maxEvents is the most that one look reads of what happened since the last.
const maxEvents = 256

// ownFault are the XIDs that a job brings upon itself: the GPU is sound. From
// NVIDIA's list of XIDs: 13 and 31 are bad accesses, 43 and 45 channels that
// were stopped, 68 the video decoder's, 109 a switch of contexts.
var ownFault = map[uint64]bool{13: true, 31: true, 43: true, 45: true, 68: true, 109: true}

// meaning of the XIDs that people meet most.
var meaning = map[uint64]string{
	48: "memory errors that can't be corrected", 63: "memory is being remapped", 64: "memory can't be remapped",
	74: "an NVLink failed", 79: "it fell off the bus", 92: "many memory errors", 94: "a contained memory error",
	95: "an uncontained memory error", 119: "its system processor doesn't answer", 120: "its system processor failed",
}

// watch asks for a GPU's events, once.
func (s *Source) watch(uuid string, handle nvml.Device) {
	if s.watched[uuid] || !s.has("nvmlEventSetCreate") || !s.has("nvmlDeviceRegisterEvents") {
		return
	}
	if s.events == nil {
		set, ret := s.lib.EventSetCreate()
		if ret != nvml.SUCCESS {
			return
		}
		s.events = set
	}
	// Not every GPU has every event, and a fault of the registration is none of the GPU.
	_ = handle.RegisterEvents(nvml.EventTypeXidCriticalError, s.events)
	s.watched[uuid] = true
}

// hear reads what happened since the last look. What is wrong with a GPU stays
// so: only a reset ends it, and after that souk starts anew.
func (s *Source) hear() {
	if s.events == nil {
		return
	}
	for range maxEvents {
		event, ret := s.events.Wait(0)
		if ret != nvml.SUCCESS {
			return
		}
		if event.EventType != nvml.EventTypeXidCriticalError || ownFault[event.EventData] || event.Device == nil {
			continue
		}
		if uuid := s.whose(event.Device); uuid != "" {
			s.faults[uuid] = fmt.Sprintf("the driver reported XID %d%s; reset the GPU, then start souk anew", event.EventData, inWords(event.EventData))
		}
	}
}

// whose names a GPU by its handle; a lost one doesn't say itself.
func (s *Source) whose(handle nvml.Device) string {
	if uuid, ret := handle.GetUUID(); ret == nvml.SUCCESS {
		return uuid
	}
	for uuid, known := range s.handles {
		if known == handle {
			return uuid
		}
	}
	return ""
}

func inWords(xid uint64) string {
	if text := meaning[xid]; text != "" {
		return " (" + text + ")"
	}
	return ""
}

// fault is what is wrong with a GPU; "" if nothing is known to be.
func (s *Source) fault(uuid string, handle nvml.Device) string {
	if text := s.faults[uuid]; text != "" {
		return text
	}
	if s.has("nvmlDeviceGetRemappedRows") {
		_, _, pending, failed, ret := handle.GetRemappedRows()
		switch {
		case ret != nvml.SUCCESS:
		case failed:
			return "its memory has more broken rows than can be remapped; it needs repair"
		case pending:
			return "rows of its memory wait to be remapped; reset it with `nvidia-smi --gpu-reset`"
		}
	}
	n, ret := handle.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC)
	if ret == nvml.SUCCESS && n > 0 {
		return fmt.Sprintf("%d memory errors that can't be corrected since its driver was loaded; reset it with `nvidia-smi --gpu-reset`", n)
	}
	return ""
}
