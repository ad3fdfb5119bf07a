package initrd

import (
	"errors"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
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

// wasEntered reports whether the root at name in dirFd has the note.
func wasEntered(dirFd int, name string) (bool, error) {
	fd, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
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

// openOldRoots returns how to open the root that a rollback has archived, and
// those before it as long as their boots came to nothing; nil when it has
// archived none. They are mounted detached, read-only, without devices and
// set-id programs.
func openOldRoots(record *RollbackRecord) func() ([]int, error) {
	root, made := record.Subvolume(archive.Root)
	if record.State != StateDone || !made || root.OldID == 0 {
		return nil
	}
	return func() ([]int, error) {
		fds, err := oldRoots(record, path.Dir(path.Dir(root.Archived)), root.Archived)
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, format.Errorf("open the archived root: %w", err)
		}
		return fds, nil
	}
}

func oldRoots(record *RollbackRecord, archivePath, newest string) (fds []int, err error) {
	device, err := resolveDevice(record.Device)
	if err != nil {
		return nil, err
	}
	top, err := sys.NewMount("btrfs", []sys.Option{
		{Key: "source", Value: device},
		{Key: "subvolid", Value: format.Sprint(btrfs.TopLevelID)},
	}, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return nil, err
	}
	defer unix.Close(top)
	for _, name := range olderThan(top, archivePath, newest) {
		fd, err := sys.OpenBeneath(top, name, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
		dir, err := sys.OpenBeneath(top, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return fds, err
		}
		entered, err := wasEntered(dir, path.Base(name))
		unix.Close(dir)
		if err != nil || entered || len(fds) == mostOldRoots {
			return fds, err
		}
	}
	return fds, nil
}

// olderThan returns the paths of the newest archived root and of those with
// smaller numbers, in descending order. Without a list of the archive it is the
// newest alone.
func olderThan(top int, archivePath, newest string) []string {
	names := []string{newest}
	fd, err := archive.Open(top, archivePath)
	if err != nil {
		return names
	}
	defer unix.Close(fd)
	numbers, err := archive.Numbers(fd)
	if err != nil {
		return names
	}
	own, isNumber := archive.ParseDirectoryName(path.Base(path.Dir(newest)))
	for _, number := range slices.Backward(numbers) {
		if isNumber && number >= own {
			continue
		}
		names = append(names, path.Join(archivePath, archive.DirectoryName(number), archive.Root))
	}
	return names
}
