package btrfs

import (
	"bytes"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl calls ioctl(2) with a pointer argument and returns its result, which
// some requests use for more than success. An interrupted call is repeated;
// the requests used here change nothing when they are interrupted.
func ioctl(fd int, request uintptr, arg unsafe.Pointer) (int, error) {
	for {
		result, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		if errno == 0 {
			return int(result), nil
		}
		if !errors.Is(errno, unix.EINTR) {
			return 0, errno
		}
	}
}

// cString returns the bytes before the first NUL, or all of them.
func cString(buffer []byte) string {
	text, _, _ := bytes.Cut(buffer, []byte{0})
	return string(text)
}
