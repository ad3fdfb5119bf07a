package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// TryLock takes the exclusive lock of what fd is open on (not O_PATH), or fails
// with EWOULDBLOCK while another process has it. The lock belongs to the open
// file: it ends with the last descriptor, so that a killed process leaves none.
// flock(2).
func TryLock(fd int) error { return lock(fd, unix.LOCK_EX|unix.LOCK_NB) }

// Lock is [TryLock] and waits.
func Lock(fd int) error { return lock(fd, unix.LOCK_EX) }

func lock(fd, how int) error {
	if err := retry(func() error { return unix.Flock(fd, how) }); err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	return nil
}
