package heap

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// resident tells of each page whether it is in memory. mincore(2).
func resident(t *testing.T, start uintptr, pages int) []bool {
	t.Helper()
	states := make([]byte, pages)
	size := uintptr(pages * os.Getpagesize())
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, start, size, uintptr(unsafe.Pointer(&states[0]))); errno != 0 {
		t.Fatal("mincore:", errno)
	}
	there := make([]bool, pages)
	for i, s := range states {
		there[i] = s&1 != 0
	}
	return there
}

func TestAdvise(t *testing.T) {
	const pages = 64
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, pages*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	if err := unix.Madvise(memory, unix.MADV_NOHUGEPAGE); err != nil {
		t.Fatal(err)
	}
	for i, there := range resident(t, address(memory), pages) {
		if there {
			t.Fatalf("page %d is there before it was asked for", i)
		}
	}
	switch errno := unix.Errno(advise(address(memory), uintptr(pages/2*page), populateWrite)); errno {
	case 0:
	case unix.EINVAL:
		testenv.Missing(t, testenv.TierKernel, errors.New("no MADV_POPULATE_WRITE, Linux 5.14"))
	default:
		t.Fatal("madvise:", errno)
	}
	for i, there := range resident(t, address(memory), pages) {
		if there != (i < pages/2) {
			t.Errorf("page %d of %d, half of which were asked for: there %v", i, pages, there)
		}
	}
}

func TestArguments(t *testing.T) {
	got := arguments()
	if len(got) != len(os.Args) || got[0] != os.Args[0] {
		t.Errorf("arguments are %q, want %q", got, os.Args)
	}
}
