//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// chunk is how much is taken at a time.
const chunk = 4 << 20

func memory() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"memory-anonymous": func(f facts) outcome { return anonymous(f, unix.MAP_PRIVATE) },
		"memory-shared":    func(f facts) outcome { return anonymous(f, unix.MAP_SHARED) },
		"memory-file":      mappedFile,
		"memory-shm":       func(f facts) outcome { return fillFile(f, "/dev/shm") },
		"memory-memfd":     memfd,
		"memory-locked":    locked,
		"memory-children":  manyChildren,
		"memory-sysv":      sysvMemory,
		"memory-child":     child,
		"page-cache":       pageCache,
		"swap":             swap,
	}
}

// beyond is how much memory no lease of the suite gives.
func beyond(f facts) int64 { return 4 * f.Memory }

// touch writes to every page, so that it is really there.
func touch(b []byte) {
	for i := 0; i < len(b); i += 4096 {
		b[i] = byte(i)
	}
}

func anonymous(f facts, how int) outcome {
	for taken := int64(0); taken < beyond(f); taken += chunk {
		b, err := unix.Mmap(-1, 0, chunk, unix.PROT_READ|unix.PROT_WRITE, how|unix.MAP_ANON)
		if err != nil {
			return contained("mmap after %d MiB: %v", taken>>20, err)
		}
		touch(b)
	}
	return escaped("%d MiB were taken with %d leased", beyond(f)>>20, f.Memory>>20)
}

func mappedFile(f facts) outcome {
	file, err := os.Create("/tmp/mapped")
	if err != nil {
		return contained("no file to map: %v", err)
	}
	if err := file.Truncate(beyond(f)); err != nil {
		return contained("a file of %d MiB: %v", beyond(f)>>20, err)
	}
	b, err := unix.Mmap(int(file.Fd()), 0, int(beyond(f)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return contained("mmap: %v", err)
	}
	touch(b) // SIGBUS where the file system is full
	return escaped("%d MiB of a mapped file were written", beyond(f)>>20)
}

// fillFile fills a file system that may live in memory.
func fillFile(f facts, dir string) outcome {
	file, err := os.Create(dir + "/fill")
	if err != nil {
		return contained("no file there: %v", err)
	}
	return fill(file, beyond(f))
}

func fill(w io.Writer, atMost int64) outcome {
	b := make([]byte, chunk)
	touch(b)
	for written := int64(0); written < atMost; written += chunk {
		if n, err := w.Write(b); err != nil {
			return contained("after %d MiB: %v", (written+int64(n))>>20, err)
		}
	}
	return escaped("%d MiB were written", atMost>>20)
}

func memfd(f facts) outcome {
	fd, err := unix.MemfdCreate("hostile", 0)
	if err != nil {
		return contained("memfd_create: %v", err)
	}
	return fill(os.NewFile(uintptr(fd), "memfd"), beyond(f))
}

func locked(f facts) outcome {
	for taken := int64(0); taken < beyond(f); taken += chunk {
		b, err := unix.Mmap(-1, 0, chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return contained("mmap: %v", err)
		}
		if err := unix.Mlock(b); err != nil {
			return contained("mlock after %d MiB: %v", taken>>20, err)
		}
	}
	return escaped("%d MiB were locked", beyond(f)>>20)
}

// manyChildren takes in each of eight processes less than the lease, and in all more.
func manyChildren(f facts) outcome {
	children := make([]*exec.Cmd, 8)
	for i := range children {
		children[i] = exec.Command("/proc/self/exe", "memory-child")
		children[i].Env, children[i].Stdout = os.Environ(), os.Stdout
		if err := children[i].Start(); err != nil {
			return contained("child %d: %v", i, err)
		}
	}
	for i, c := range children {
		if err := c.Wait(); err != nil {
			return contained("child %d was ended: %v", i, err)
		}
	}
	return escaped("8 children took %d MiB in all, with %d leased", f.Memory>>20*4, f.Memory>>20)
}

// child holds half the lease for long enough that all eight do.
func child(f facts) outcome {
	b, err := unix.Mmap(-1, 0, int(f.Memory/2), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return broken("mmap: %v", err)
	}
	touch(b)
	time.Sleep(3 * time.Second)
	return contained("held")
}

// sysvMemory takes segments that outlive the process that made them.
func sysvMemory(f facts) outcome {
	for taken := int64(0); taken < beyond(f); taken += chunk {
		id, err := unix.SysvShmGet(unix.IPC_PRIVATE, chunk, unix.IPC_CREAT|0o600)
		if err != nil {
			return contained("shmget after %d MiB: %v", taken>>20, err)
		}
		b, err := unix.SysvShmAttach(id, 0, 0)
		if err != nil {
			return contained("shmat after %d MiB: %v", taken>>20, err)
		}
		touch(b)
		if err := unix.SysvShmDetach(b); err != nil {
			return broken("shmdt: %v", err)
		}
	}
	return escaped("%d MiB of shared memory were left behind", beyond(f)>>20)
}

// pageCache reads and writes as much as it may, far beyond its memory.
func pageCache(f facts) outcome {
	var total int64
	b := make([]byte, chunk)
	for round := range 16 {
		file, err := os.OpenFile(fmt.Sprintf("/out/cache-%d", round%2), os.O_CREATE|os.O_RDWR, 0o600)
		if round == 0 && err != nil {
			return broken("a file: %v", err)
		}
		if err != nil {
			return contained("after %d MiB: %v", total>>20, err)
		}
		for written := int64(0); written < f.Disk/4; written += chunk {
			if _, err := file.Write(b); err != nil {
				return contained("after %d MiB: %v", total>>20, err)
			}
			total += chunk
		}
		_, _ = file.Seek(0, io.SeekStart)
		_, _ = io.Copy(io.Discard, file)
		file.Close()
	}
	return contained("%d MiB went through the page cache", total>>20)
}

// swap offers a file with a true swap header; should that work, it is taken back.
func swap(facts) outcome {
	page := make([]byte, 1<<20)
	page[1024] = 1   // version
	page[1028] = 255 // last page
	copy(page[4086:], "SWAPSPACE2")
	path := []byte("/out/swap\x00")
	return none(attempt{"swapon", func() error {
		if err := os.WriteFile("/out/swap", page, 0o600); err != nil {
			return err
		}
		_, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(&path[0])), 0, 0)
		if errno == 0 {
			_, _, _ = unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(&path[0])), 0, 0)
		}
		return failed(errno)
	}})
}
