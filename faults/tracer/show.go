package tracer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// show gives the arguments of a call as text.
func (r *run) show(tid int, how call, regs *unix.PtraceRegs) (texts []string) {
	values := []uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9}
	for i, kind := range how.arguments {
		value := values[i]
		switch kind {
		case 'd', 'f':
			texts = append(texts, r.descriptor(int32(value)))
		case 'p':
			texts = append(texts, strconv.Quote(r.name(readString(tid, value))))
		case 'h':
			texts = append(texts, fmt.Sprintf("%#x", readWord(tid, value)))
		case 'x':
			texts = append(texts, fmt.Sprintf("%#x", value))
		}
	}
	return texts
}

func (r *run) name(text string) string {
	if r.command.Names == nil {
		return text
	}
	return r.command.Names.Replace(text)
}

// descriptor shows what a descriptor is open on.
func (r *run) descriptor(fd int32) string {
	if fd == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", r.pid, fd))
	if err != nil {
		return "bad descriptor"
	}
	// What a program asks of itself, by /proc/self, is its own in each run; the
	// number is another.
	if own, isOwn := strings.CutPrefix(path, fmt.Sprintf("/proc/%d/", r.pid)); isOwn {
		path = "/proc/self/" + own
	}
	return "<" + r.name(path) + ">"
}

// readString reads a string that ends with NUL, up to 4096 bytes and page by
// page, because the next page may not be there.
func readString(tid int, address uint64) string {
	var text []byte
	for address != 0 && len(text) < 4096 {
		part := make([]byte, 4096-address%4096)
		if !readMemory(tid, address, part) {
			break
		}
		if end := bytes.IndexByte(part, 0); end >= 0 {
			return string(append(text, part[:end]...))
		}
		text = append(text, part...)
		address += uint64(len(part))
	}
	return string(text)
}

func readWord(tid int, address uint64) uint64 {
	var word [8]byte
	readMemory(tid, address, word[:])
	return binary.LittleEndian.Uint64(word[:])
}

func readMemory(tid int, address uint64, into []byte) bool {
	local := []unix.Iovec{{Base: &into[0], Len: uint64(len(into))}}
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(into)}}
	n, err := unix.ProcessVMReadv(tid, local, remote, 0)
	return err == nil && n == len(into)
}
