//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func devices() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"device-probe":  deviceProbe,
		"device-mknod":  deviceMknod,
		"device-gpu":    deviceGPU,
		"sys-write":     each(sysWrite, terminal),
		"kernel-memory": kernelMemory,
	}
}

func opens(paths ...string) []attempt {
	var all []attempt
	for _, path := range paths {
		all = append(all, attempt{path, func() error {
			f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
			if err != nil {
				f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
			}
			if err != nil {
				return err
			}
			return f.Close()
		}})
	}
	return all
}

func deviceProbe(facts) outcome {
	return none(opens("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/sda", "/dev/sda1", "/dev/vda", "/dev/vda1",
		"/dev/nvme0n1", "/dev/xvda", "/dev/dm-0", "/dev/loop0", "/dev/loop-control", "/dev/mapper/control", "/dev/fuse",
		"/dev/net/tun", "/dev/kvm", "/dev/vhost-net", "/dev/vsock", "/dev/vhost-vsock", "/dev/vfio/vfio", "/dev/uinput",
		"/dev/input/event0", "/dev/snapshot", "/dev/cpu/0/msr", "/dev/hpet", "/dev/rtc0", "/dev/watchdog", "/dev/autofs",
		"/dev/btrfs-control", "/dev/userfaultfd", "/dev/hwrng", "/dev/tty0", "/dev/ttyS0", "/dev/vcs", "/dev/fb0",
		"/dev/bus/usb/001/001", "/dev/mei0", "/dev/tpm0", "/dev/sgx_enclave", "/dev/udmabuf", "/dev/dma_heap/system")...)
}

// deviceMknod makes nodes for devices and opens those that came to be.
func deviceMknod(facts) outcome {
	var all []attempt
	for name, dev := range map[string][2]uint32{
		"mem": {1, 1}, "kmsg": {1, 11}, "sda": {8, 0}, "vda": {254, 0}, "loop0": {7, 0}, "fuse": {10, 229},
		"tun": {10, 200}, "kvm": {10, 232}, "nvidia0": {195, 0}, "nvidiactl": {195, 255},
	} {
		for _, dir := range []string{"/out", "/tmp", "/dev", "/dev/shm"} {
			for kind, mode := range map[string]uint32{"block": unix.S_IFBLK, "character": unix.S_IFCHR} {
				path := filepath.Join(dir, kind+"-"+name)
				all = append(all, attempt{"a node at " + path, func() error {
					return unix.Mknod(path, mode|0o666, int(unix.Mkdev(dev[0], dev[1])))
				}})
			}
		}
	}
	return none(all...)
}

// deviceGPU runs in an image whose environment asks for every GPU there is.
func deviceGPU(facts) outcome {
	if asked := os.Getenv("NVIDIA_VISIBLE_DEVICES"); asked != "" && asked != "void" && asked != "none" {
		return escaped("the image's NVIDIA_VISIBLE_DEVICES=%s got through to whoever makes the container", asked)
	}
	for _, pattern := range []string{"/dev/nvidia*", "/dev/dri/*", "/dev/kfd", "/dev/accel/*", "/usr/lib/*/libcuda*", "/proc/driver/nvidia*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return escaped("not leased but there: %q", found)
		}
	}
	return none(opens("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dri/renderD128", "/dev/dri/card0", "/dev/kfd")...)
}

// terminal looks for one to type into, as a setuid program's caller could.
func terminal(facts) outcome {
	var all []attempt
	for fd := range 3 {
		all = append(all, attempt{fmt.Sprintf("typing into the terminal at %d", fd), func() error {
			return unix.IoctlSetPointerInt(fd, unix.TIOCSTI, 'x')
		}})
	}
	return none(append(all, opens("/dev/tty")...)...)
}

func sysWrite(facts) outcome {
	var all []attempt
	for path, value := range map[string]string{
		"/sys/kernel/mm/transparent_hugepage/enabled": "never", "/sys/kernel/uevent_helper": "/hostile",
		"/sys/power/state": "", "/sys/module/kernel/parameters/panic": "0", "/sys/kernel/debug/sched_features": "",
		"/sys/class/net/lo/mtu": "1500", "/sys/kernel/security/apparmor/.remove": "x", "/sys/fs/bpf/x": "",
		"/sys/firmware/efi/efivars/x": "", "/sys/kernel/profiling": "1",
	} {
		all = append(all, attempt{"writing " + path, func() error { return os.WriteFile(path, []byte(value), 0o600) }})
	}
	return none(all...)
}

// kernelMemory reads where the kernel shows its insides.
func kernelMemory(facts) outcome {
	var all []attempt
	for _, path := range []string{
		"/proc/kcore", "/proc/kmem", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats",
		"/proc/scsi/scsi", "/proc/acpi/wakeup", "/proc/iomem", "/proc/kallsyms", "/proc/kpagecount", "/proc/vmallocinfo",
		"/sys/firmware/memmap/0/start", "/sys/firmware/acpi/tables/DSDT",
	} {
		all = append(all, attempt{"reading " + path, func() error { return secret(path) }})
	}
	return none(all...)
}

// secret is nil if path gives anything that is not blanked out.
func secret(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 4096)
	n, err := f.Read(b)
	if n == 0 {
		return fmt.Errorf("nothing to read: %w", err)
	}
	if strings.Trim(string(b[:n]), "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.$ :-()[]\t\n") == "" && blanked(string(b[:n])) {
		return fmt.Errorf("every address is blanked out")
	}
	return nil
}

// blanked says whether every line starts with an address of zeros.
func blanked(text string) bool {
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		if !strings.HasPrefix(strings.TrimSpace(line), "00000000") {
			return false
		}
	}
	return true
}
