//go:build linux

package main

import (
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

const pageSize = 64 << 10 // bytes of a WebAssembly page

// memory hands out guest memory up to a limit over all linear memories, outside
// Go's heap so that growing copies nothing, and remembers whether more was asked for.
type memory struct {
	limit uint64 // bytes
	used  uint64
	hit   bool
}

// Allocate reserves addresses for one linear memory.
func (m *memory) Allocate(_, most uint64) experimental.LinearMemory {
	most = min(most, m.limit-m.limit%pageSize)
	if most == 0 {
		return &linear{owner: m}
	}
	all, err := unix.Mmap(-1, 0, int(most), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return &linear{owner: m}
	}
	return &linear{owner: m, all: all}
}

type linear struct {
	owner *memory
	all   []byte
	size  uint64
}

// Reallocate grows the memory in place, or gives nil where it may not.
func (l *linear) Reallocate(size uint64) []byte {
	if size > uint64(len(l.all)) || l.owner.used+size-l.size > l.owner.limit {
		l.owner.hit = true
		return nil
	}
	if size > l.size {
		if unix.Mprotect(l.all[l.size:size], unix.PROT_READ|unix.PROT_WRITE) != nil {
			l.owner.hit = true
			return nil
		}
	}
	l.owner.used += size - l.size
	l.size = size
	return l.all[:size:size]
}

// Free gives the addresses back.
func (l *linear) Free() {
	if l.all != nil {
		_ = unix.Munmap(l.all)
	}
	l.owner.used -= l.size
	l.all, l.size = nil, 0
}
