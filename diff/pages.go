package diff

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages gives memory to a tree: zeroed, never given back, and never looked at
// by the garbage collector. A name takes 80 bytes, and the page faults of a
// million of them would take longer than all else, so that what a tree of more
// than some thousand names needs is in huge pages.
//
// madvise(2) is best effort. Worst case, where there are none: usual pages.
type pages struct {
	taken uintptr
	free  []byte
}

const (
	// What is taken from the heap before the first huge page: most trees are
	// no larger.
	inHeap   = 1 << 20
	hugePage = 2 << 20 // on x86-64, and elsewhere with pages of 4 KiB
	// Addresses, not memory: what is not written to is not there.
	reserved = 32 << 20
)

// take returns size bytes, aligned as the heap aligns as many.
func (p *pages) take(size uintptr) []byte {
	p.taken += size
	if p.taken <= inHeap {
		return words(size)
	}
	if uintptr(len(p.free)) < size && !p.reserve() {
		return words(size)
	}
	taken := p.free[:size:size]
	p.free = p.free[size:]
	return taken
}

func (p *pages) reserve() bool {
	free, err := unix.Mmap(-1, 0, reserved+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return false
	}
	before := -uintptr(unsafe.Pointer(unsafe.SliceData(free))) & (hugePage - 1)
	p.free = free[before : before+reserved]
	_ = unix.Madvise(p.free, unix.MADV_HUGEPAGE)
	return true
}

// words is memory of the heap, for nodes, too.
func words(size uintptr) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]uint64, size/8)))), size)
}
