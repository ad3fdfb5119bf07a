package btrfs

import (
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// cleanerPoll is how often [WaitCleaned] looks: the cleaner thread works for
// seconds to minutes on a subvolume.
const cleanerPoll = 250 * time.Millisecond

// cleanerPatience is how long [WaitCleaned] sees nothing move.
const cleanerPatience = time.Minute

// ErrNotCleaned is returned when the space of a deleted subvolume does not
// become free.
var ErrNotCleaned = errors.New("the space of a deleted subvolume does not become free: a file in it is open")

// Deleted returns the ids of the subvolumes that have been deleted and whose
// space is not free yet, in ascending order: the kernel's cleaner thread takes
// them apart after the next commit. BTRFS_IOC_TREE_SEARCH_V2; needs
// CAP_SYS_ADMIN.
func Deleted(fd int) ([]uint64, error) {
	if err := requireBtrfs(fd); err != nil {
		return nil, failName(opListing, "", err)
	}
	found := newCollector()
	first := itemKey{objectID: firstSubvolumeID, kind: typeRootItem}
	last := itemKey{objectID: lastSubvolumeID, kind: typeRootBackReference, offset: math.MaxUint64}
	if err := searchTree(fd, rootTreeID, first, last, found.add); err != nil {
		return nil, failName(opListing, "", err)
	}
	return found.deleted(), nil
}

// deleted is what [collector.listing] leaves out.
func (c *collector) deleted() []uint64 {
	var ids []uint64
	for _, id := range c.ids() {
		if c.roots[id].deleted || c.places[id].name == "" && id != TopLevelID {
			ids = append(ids, id)
		}
	}
	return ids
}

// WaitCleaned commits the file system and returns once none of the deleted
// subvolumes holds any space. It gives up,
// with [ErrNotCleaned], when nothing has moved for a minute: a subvolume in
// which somebody has a file open is not taken apart before that is closed.
//
// Linux 6.13 has BTRFS_IOC_SUBVOL_SYNC_WAIT for it, which waits for ever;
// looking at the trees works everywhere.
func WaitCleaned(fd int, ids []uint64) error {
	return waitCleaned(fd, ids, cleanerPatience)
}

func waitCleaned(fd int, ids []uint64, patience time.Duration) error {
	if err := Sync(fd); err != nil {
		return err
	}
	var seen progress
	for last := time.Now(); ; {
		now, err := readProgress(fd, ids)
		if err != nil {
			return err
		}
		if now.pending == 0 {
			// The last commit of the cleaner makes statfs(2) tell the truth.
			return Sync(fd)
		}
		if now != seen {
			seen, last = now, time.Now()
		} else if time.Since(last) > patience {
			return failName(opListing, "", ErrNotCleaned)
		}
		time.Sleep(cleanerPoll)
	}
}

// progress is what changes while the cleaner works.
type progress struct {
	pending    int
	freeBlocks uint64
}

func readProgress(fd int, ids []uint64) (p progress, err error) {
	pending, err := Deleted(fd)
	if err != nil {
		return p, err
	}
	for _, id := range ids {
		if _, found := slices.BinarySearch(pending, id); found {
			p.pending++
		}
	}
	var stat unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &stat) }); err != nil {
		return p, format.Errorf("fstatfs: %w", err)
	}
	p.freeBlocks = stat.Bfree
	return p, nil
}
