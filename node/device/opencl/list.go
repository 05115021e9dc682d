package opencl

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unsafe"

	"souk/node/device"
)

// Names of what is asked of a device: cl.h and the extensions named beside them.
const (
	infoVendorID     = 0x1001
	infoGlobalSize   = 0x101f
	infoMaxAlloc     = 0x1010
	infoName         = 0x102b
	infoAvailable    = 0x1027
	infoCompiler     = 0x1028
	infoUUID         = 0x106a // cl_khr_device_uuid
	infoPCI          = 0x410f // cl_khr_pci_bus_info: domain, bus, device, function
	infoTopologyAMD  = 0x4037 // cl_amd_device_attribute_query
	infoBoardAMD     = 0x4038
	infoBusNVIDIA    = 0x4008 // cl_nv_device_attribute_query
	infoSlotNVIDIA   = 0x4009
	infoDomainNVIDIA = 0x400a
)

// Bits of a device's type.
const (
	typeCPU         = 1 << 1
	typeGPU         = 1 << 2
	typeAccelerator = 1 << 3
)

const (
	maxPlatforms = 64
	maxDevices   = 256 // of one platform
	maxInfo      = 4096
	vendorNVIDIA = 0x10de
	vendorAMD    = 0x1002
	vendorIntel  = 0x8086
)

// found is a device and what else is needed of it.
type found struct {
	device.Device
	handle   uintptr
	maxAlloc uint64 // bytes of the largest buffer
}

// list returns the usable devices of all platforms, in the loader's order.
func (l *library) list(cpu bool) ([]found, error) {
	platforms := make([]uintptr, maxPlatforms)
	var count uint32
	switch status := l.getPlatformIDs(maxPlatforms, &platforms[0], &count); status {
	case success:
	case platformNotFound:
		return nil, nil
	default:
		return nil, &Error{Doing: "listing platforms", Status: status}
	}
	kind := uint64(typeGPU | typeAccelerator)
	if cpu {
		kind |= typeCPU
	}
	var all []found
	seen := map[string]bool{}
	for _, platform := range platforms[:min(count, maxPlatforms)] {
		handles := make([]uintptr, maxDevices)
		switch status := l.getDeviceIDs(platform, kind, maxDevices, &handles[0], &count); status {
		case success:
		case deviceNotFound:
			continue
		default:
			return nil, &Error{Doing: "listing devices", Status: status}
		}
		for _, handle := range handles[:min(count, maxDevices)] {
			f, usable := l.describe(handle)
			for i := 0; usable && seen[f.ID] && strings.HasPrefix(f.ID, "opencl-"); i++ {
				f.ID = fmt.Sprintf("opencl-%s-%d", f.Slug, i)
			}
			if usable && !seen[f.ID] {
				seen[f.ID] = true
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// describe reads what the driver says; a device that can't compile, or that the driver says
// nothing about, isn't usable.
func (l *library) describe(handle uintptr) (f found, usable bool) {
	model := strings.TrimSpace(l.text(handle, infoName))
	if l.number(handle, infoVendorID) == vendorAMD {
		if board := strings.TrimSpace(l.text(handle, infoBoardAMD)); board != "" {
			model = board // the name is that of the architecture: "gfx1100"
		}
	}
	f = found{handle: handle, maxAlloc: l.number(handle, infoMaxAlloc)}
	f.Device = device.Device{
		Model: model, Slug: device.Slug(model), VRAM: int64(l.number(handle, infoGlobalSize)), Kind: device.Claimed,
		Vendor: vendor(l.number(handle, infoVendorID)),
	}
	f.Bus = l.bus(handle)
	f.ID = l.id(handle, f.Bus, f.Slug)
	usable = l.number(handle, infoAvailable) != 0 && l.number(handle, infoCompiler) != 0
	return f, usable && f.Slug != "" && f.VRAM > 0 && f.maxAlloc > 0
}

// vendor is a PCI vendor's name, or its number.
func vendor(id uint64) string {
	switch id {
	case vendorNVIDIA:
		return "nvidia"
	case vendorAMD:
		return "amd"
	case vendorIntel:
		return "intel"
	}
	return fmt.Sprintf("%04x", id)
}

// id is the ID under which the maker's own way lists the device, where OpenCL tells enough:
// NVIDIA's UUID, or the PCI address; else one made of the model.
func (l *library) id(handle uintptr, bus, slug string) string {
	if l.number(handle, infoVendorID) == vendorNVIDIA {
		if uuid := l.info(handle, infoUUID); len(uuid) == 16 {
			text := hex.EncodeToString(uuid)
			return "GPU-" + strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
		}
	}
	if bus != "" {
		return "pci-" + bus
	}
	return "opencl-" + slug + "-0"
}

// bus is the PCI address, "" where no extension tells it.
func (l *library) bus(handle uintptr) string {
	if pci := l.info(handle, infoPCI); len(pci) == 16 {
		word := func(i int) uint32 { return binary.NativeEndian.Uint32(pci[4*i:]) }
		return fmt.Sprintf("%04x:%02x:%02x.%x", word(0), word(1), word(2), word(3))
	}
	if at := l.info(handle, infoTopologyAMD); len(at) == 24 && binary.NativeEndian.Uint32(at) == 1 {
		return fmt.Sprintf("0000:%02x:%02x.%x", at[21], at[22], at[23])
	}
	if len(l.info(handle, infoBusNVIDIA)) == 4 {
		slot := l.number(handle, infoSlotNVIDIA)
		return fmt.Sprintf("%04x:%02x:%02x.%x", l.number(handle, infoDomainNVIDIA), l.number(handle, infoBusNVIDIA), slot>>3, slot&7)
	}
	return ""
}

// info is the raw answer, empty where the driver has none.
func (l *library) info(handle uintptr, name uint32) []byte {
	value := make([]byte, maxInfo)
	var actual uintptr
	if l.getDeviceInfo(handle, name, maxInfo, unsafe.Pointer(&value[0]), &actual) != success {
		return nil
	}
	return value[:min(actual, maxInfo)]
}

func (l *library) text(handle uintptr, name uint32) string {
	value, _, _ := bytes.Cut(l.info(handle, name), []byte{0})
	return strings.ToValidUTF8(string(value[:min(len(value), 128)]), "")
}

// number reads an integer of 4 or 8 bytes, 0 where there is none.
func (l *library) number(handle uintptr, name uint32) uint64 {
	switch value := l.info(handle, name); len(value) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(value))
	case 8:
		return binary.NativeEndian.Uint64(value)
	default:
		return 0
	}
}
