package cuda

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// space is memory by address; what is outside of it, or not aligned, panics.
type space interface {
	load(address uint64, bytes int) uint64
	store(address uint64, bytes int, value uint64)
}

// heap is the device's memory: allocations with room between them that is nobody's.
type heap struct {
	areas map[uint64][]byte
	next  uint64
}

func (h *heap) allocate(bytes uint64) uint64 {
	at := h.next
	h.next += (bytes+511)/256*256 + 4096
	h.areas[at] = garbage(bytes)
	return at
}

// garbage is memory that nobody may take for zeros.
func garbage(bytes uint64) []byte {
	area := make([]byte, bytes)
	for i := range area {
		area[i] = 0xa5
	}
	return area
}

func (h *heap) find(address uint64, bytes int) []byte {
	for at, area := range h.areas {
		if address >= at && address+uint64(bytes) <= at+uint64(len(area)) && address%uint64(bytes) == 0 {
			return area[address-at:]
		}
	}
	panic(fmt.Sprintf("%d bytes at %#x are in no allocation, or not aligned", bytes, address))
}

func (h *heap) load(address uint64, bytes int) uint64 { return get(h.find(address, bytes), bytes) }

func (h *heap) store(address uint64, bytes int, value uint64) {
	put(h.find(address, bytes), bytes, value)
}

// local is the shared memory of a block of threads.
type local []byte

func (l local) load(address uint64, bytes int) uint64 { return get(l.find(address, bytes), bytes) }

func (l local) store(address uint64, bytes int, value uint64) {
	put(l.find(address, bytes), bytes, value)
}

func (l local) find(address uint64, bytes int) []byte {
	if address+uint64(bytes) > uint64(len(l)) || address%uint64(bytes) != 0 {
		panic(fmt.Sprintf("%d bytes at %#x are outside of shared memory, or not aligned", bytes, address))
	}
	return l[address:]
}

func get(from []byte, bytes int) uint64 {
	if bytes == 4 {
		return uint64(binary.LittleEndian.Uint32(from))
	}
	return binary.LittleEndian.Uint64(from)
}

func put(to []byte, bytes int, value uint64) {
	if bytes == 4 {
		binary.LittleEndian.PutUint32(to, uint32(value))
		return
	}
	binary.LittleEndian.PutUint64(to, value)
}

// thread is one of a block.
type thread struct {
	pc            int
	registers     []uint64
	written       []bool
	special       [5]uint64
	params        []uint64
	global        *heap
	shared        local
	waiting, done bool
}

func (t *thread) get(slot int) uint64 {
	if !t.written[slot] {
		panic("a register is read before it is written")
	}
	return t.registers[slot]
}

func (t *thread) set(slot int, value uint64) {
	t.registers[slot], t.written[slot] = value, true
}

func (t *thread) memory(shared bool) space {
	if shared {
		return t.shared
	}
	return t.global
}

// launch runs all blocks of a grid, and between two barriers the threads of a
// block in an order that is new each time, so that what hangs on the order shows.
func (e *entry) launch(g grid, params []uint64, global *heap) (err error) {
	var at string
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%s: %s: %v", e.name, at, reason)
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	for y := range g.blocksY {
		for x := range g.blocksX {
			shared := local(garbage(e.size))
			threads := make([]*thread, 0, g.threadsX*g.threadsY)
			for ty := range g.threadsY {
				for tx := range g.threadsX {
					count := e.slots['p'] + e.slots['r'] + e.slots['d']
					threads = append(threads, &thread{
						registers: make([]uint64, count), written: make([]bool, count), params: params, global: global, shared: shared,
						special: [5]uint64{uint64(tx), uint64(ty), uint64(x), uint64(y), uint64(g.threadsX)},
					})
				}
			}
			for running := true; running; {
				random.Shuffle(len(threads), func(i, j int) { threads[i], threads[j] = threads[j], threads[i] })
				running = e.untilBarrier(threads, &at)
			}
		}
	}
	return nil
}

// untilBarrier runs each thread to its next barrier or its end, and says whether any goes on.
func (e *entry) untilBarrier(threads []*thread, at *string) bool {
	waiting := 0
	for _, t := range threads {
		for !t.done && !t.waiting {
			i := &e.code[t.pc]
			*at = i.text
			t.pc++
			i.run(t)
		}
		if t.waiting {
			waiting++
		}
		t.waiting = false
	}
	if waiting != 0 && waiting != len(threads) {
		panic(fmt.Sprintf("%d of %d threads wait at a barrier", waiting, len(threads)))
	}
	return waiting > 0
}
