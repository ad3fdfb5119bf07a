package sys

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// TryLock takes the exclusive lock of what fd is open on (not O_PATH), or fails
// with EWOULDBLOCK while another process has it. The lock belongs to the open
// file: it ends with the last descriptor, so that a killed process leaves none.
// flock(2).
func TryLock(fd int) error {
	if err := retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return format.Errorf("flock: %w", err)
	}
	return nil
}

// OpenLock opens the file name in dirFd to be locked, and makes it if need be:
// for root only, or others could hold the lock.
func OpenLock(dirFd int, name string) (int, error) {
	if err := CheckName(name); err != nil {
		return -1, pathError("open", name, err)
	}
	fd, err := retryInt(func() (int, error) {
		return unix.Openat(dirFd, name, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	})
	return fd, pathError("open", name, err)
}
