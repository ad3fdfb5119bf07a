package tracer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The auxiliary vector tells a program where the kernel's page with
// clock_gettime is (vdso(7), getauxval(3)). A program that finds none asks by
// system call, and that can be answered in place of the kernel.
const (
	auxIgnore = 1  // AT_IGNORE
	auxVDSO   = 33 // AT_SYSINFO_EHDR
)

// hideVDSO takes the entry off a program that has not run yet. The vector lies
// on its stack, behind the arguments and the environment.
func hideVDSO(pid int) error {
	vector, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return err
	}
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	address, err := findVector(pid, regs.Rsp)
	if err != nil {
		return err
	}
	for offset := 0; offset+16 <= len(vector); offset += 16 {
		if binary.LittleEndian.Uint64(vector[offset:]) != auxVDSO {
			continue
		}
		var ignore [8]byte
		binary.LittleEndian.PutUint64(ignore[:], auxIgnore)
		_, err := unix.PtracePokeData(pid, uintptr(address)+uintptr(offset), ignore[:])
		return err
	}
	return errors.New("the program has no vDSO to be hidden")
}

// findVector walks over argc, the arguments and the environment, each ended by
// a null pointer.
func findVector(pid int, stack uint64) (uint64, error) {
	address := stack + 8*(readWord(pid, stack)+2)
	for range 10_000 {
		word := readWord(pid, address)
		address += 8
		if word == 0 {
			return address, nil
		}
	}
	return 0, errors.New("no end of the environment")
}

// writeTime answers clock_gettime(2).
func writeTime(tid int, address uint64, now unix.Timespec) error {
	var buffer [16]byte
	binary.LittleEndian.PutUint64(buffer[:], uint64(now.Sec))
	binary.LittleEndian.PutUint64(buffer[8:], uint64(now.Nsec))
	_, err := unix.PtracePokeData(tid, uintptr(address), buffer[:])
	return err
}
