// Package heap lets the Go heap of the initrd's commands lie in a huge page.
//
// A run takes milliseconds and touches some hundred new pages. Each of them is a
// page fault: half a microsecond on bare metal, 10 to 25 in a virtual machine
// without nested page tables, in all a sixth of the run. A huge page is one.
package heap

import (
	"runtime"
	"unsafe"
)

// There is no better place: before main, the packages that are initialised
// have a third of the faults. A package that imports none but the runtime's own
// is initialised before those that import any, in the order of import paths
// (The Go Programming Language Specification, "Program initialization").
func init() {
	if args := arguments(); len(args) > 1 && (args[1] == "mount" || args[1] == "rollback") {
		moveToHugePage()
	}
}

const (
	hugePage = 2 << 20 // on x86-64, and elsewhere with pages of 4 KiB
	// A block of this size is large for the allocator, so that nothing is
	// written into it, and small enough to come from what a processor has put
	// aside for small ones (pageCachePages/4 in runtime/mheap.go).
	filler = 120 << 10
	// What is provided at once where there are no huge pages.
	provided = 256 << 10

	adviseHugePage = 14 // MADV_HUGEPAGE in asm-generic/mman-common.h, Linux 2.6.38
	populateWrite  = 23 // MADV_POPULATE_WRITE, Linux 5.14
)

// moveToHugePage makes the heap go on in a huge page.
//
// The runtime gives out fresh addresses in ascending order. What is left before
// the next huge page is filled with blocks that nobody writes to, which takes
// no memory.
//
// madvise(2) is best effort. Worst case, with an older kernel or a runtime of
// other ways: each page is faulted in when it is used, as ever.
func moveToHugePage() {
	next := address(make([]byte, filler))&^(hugePage-1) + hugePage
	for range hugePage/filler + 1 {
		if address(make([]byte, filler)) >= next {
			break
		}
	}
	advise(next, 2*hugePage, adviseHugePage) // 1,000 entries begin the second one
	advise(next, provided, populateWrite)
}

func address(block []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(block))) }

func advise(start, length, advice uintptr) (errno uintptr) {
	switch runtime.GOARCH {
	case "amd64":
		_, _, errno = rawSyscall6(28, start, length, advice, 0, 0, 0)
	case "arm64", "loong64", "riscv64":
		_, _, errno = rawSyscall6(233, start, length, advice, 0, 0, 0)
	}
	return errno
}

// Both are there before the packages that they belong to are initialised, and
// have no part in that. To import these would make this package one of the last.

//go:linkname rawSyscall6 syscall.RawSyscall6
func rawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)

//go:linkname arguments os.runtime_args
func arguments() []string
