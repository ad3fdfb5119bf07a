package initrd

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
	"github.com/ebb-nix/ebb/roots"
)

// enteredAttribute stands on the top directory of a root that all entries were
// brought into. A root without it is one whose boot ended before that: what an
// entry would have adopted is not in it but in an older root.
const enteredAttribute = "trusted.ebb.entered"

// mostOldRoots bounds how many roots are looked at whose boots came to nothing.
const mostOldRoots = 16

// markEntered notes that every entry is in place. Worst case without the note:
// the next boot looks for data into one root more.
func markEntered(rootFd int) { _ = sys.SetXattr(rootFd, enteredAttribute, nil) }

// clearEntered takes the note off the copy of a root.
func clearEntered(rootFd int) error {
	if err := sys.RemoveXattr(rootFd, enteredAttribute); err != nil && !errors.Is(err, unix.ENODATA) {
		return err
	}
	return nil
}

// wasEntered reports whether the root at name below top has the note. Where there
// is none, because it was missing itself, nothing is told of its boot.
func wasEntered(top int, name string) (bool, error) {
	fd, err := sys.OpenBeneath(top, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	_, err = sys.GetXattr(fd, enteredAttribute)
	if errors.Is(err, unix.ENODATA) {
		return false, nil
	}
	return err == nil, err
}

// openOldRoots returns how to open the root that a rollback has archived, with
// what was archived along with it of the mounts below dir, and those before it as
// long as their boots came to nothing; nil when it has archived none. They are
// mounted detached, read-only, without devices and set-id programs.
func openOldRoots(record *RollbackRecord, root *config.Root, dir string) func() ([]mounts.OldRoot, error) {
	if record.State != StateDone || record.Archive == "" {
		return nil
	}
	return func() ([]mounts.OldRoot, error) {
		old, err := oldRoots(record, root, dir)
		if err != nil {
			for i := range old {
				if old[i].Fd >= 0 {
					unix.Close(old[i].Fd)
					old[i].Fd = -1
				}
			}
			err = format.Errorf("open the archived root: %w", err)
		}
		return old, err
	}
}

func oldRoots(record *RollbackRecord, root *config.Root, dir string) (old []mounts.OldRoot, err error) {
	// Its number is known, whatever comes of it.
	old = append(old, mounts.OldRoot{Fd: -1, Number: record.Sequence})
	members, err := MemberMounts(root, dir)
	if err != nil {
		return old, err
	}
	device, err := resolveDevice(record.Device)
	if err != nil {
		return old, err
	}
	top, err := sys.NewMount("btrfs", []sys.Option{
		{Key: "source", Value: device},
		{Key: "subvolid", Value: format.Sprint(btrfs.TopLevelID)},
	}, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return old, err
	}
	defer unix.Close(top)
	generations := olderThan(top, record.Archive)
	for _, name := range generations[:min(mostOldRoots, len(generations))] {
		entered, err := record.openGeneration(&old, top, name, members)
		if err != nil || entered {
			return old, err
		}
	}
	return old, nil
}

// openGeneration adds what was archived as one root. It reports whether all
// entries were in place in that boot: then it is the last to be looked at.
func (r *RollbackRecord) openGeneration(old *[]mounts.OldRoot, top int, name string, members []roots.Member) (entered bool, err error) {
	number, _ := archive.ParseDirectoryName(path.Base(name))
	for i := range members {
		m, fd := &members[i], -1
		// What this boot has not archived is still in place, and an older root
		// may be from before that subvolume was rolled back along with it.
		if made, _ := r.Subvolume(m.Name); made.OldID != 0 {
			fd, err = sys.OpenBeneath(top, name+"/"+m.Name, unix.O_PATH|unix.O_DIRECTORY)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return false, err
			}
		}
		*old = append(*old, mounts.OldRoot{Fd: fd, Mount: strings.TrimSuffix(m.Mount, "/"), Number: number})
	}
	return wasEntered(top, name+"/"+archive.Root)
}

// olderThan returns the directories of the newest archived root and of those with
// smaller numbers, in descending order. Without a list of the archive it is the
// newest alone.
func olderThan(top int, newest string) []string {
	names, archivePath := []string{newest}, path.Dir(newest)
	fd, err := archive.Open(top, archivePath)
	if err != nil {
		return names
	}
	defer unix.Close(fd)
	numbers, err := archive.Numbers(fd)
	if err != nil {
		return names
	}
	own, isNumber := archive.ParseDirectoryName(path.Base(newest))
	for _, number := range slices.Backward(numbers) {
		if isNumber && number >= own {
			continue
		}
		names = append(names, path.Join(archivePath, archive.DirectoryName(number)))
	}
	return names
}
