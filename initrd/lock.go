package initrd

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Locks in the run directory. Users cannot open them, and so cannot hold them.
const (
	rollbackLock = ".rollback.lock" // while the root is made fresh
	entriesLock  = ".entries.lock"  // while entries are brought in or copied back
	recordLock   = ".record.lock"   // while the boot record is changed
)

// lockPatience bounds how long one ebb waits for another. It covers an adoption
// of many files; nothing else takes more than a second.
const lockPatience = 2 * time.Minute

const lockPoll = 20 * time.Millisecond

// lock keeps other processes out until unlock is called. A killed process
// leaves no lock.
func (h *Host) lock(name string) (unlock func(), err error) {
	dir, err := makeRunDir(h.RunDir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, err := sys.OpenLock(dir, name)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPoll) {
		err := sys.TryLock(fd)
		if err == nil {
			return func() { unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			unix.Close(fd)
			return nil, format.Errorf("wait for another ebb to end: %w", err)
		}
	}
}
