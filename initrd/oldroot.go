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

// mostOldRoots bounds how many roots are looked at whose boots came to nothing: each
// takes a descriptor for each of its members, and a process has 1024.
const mostOldRoots = 64

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

// oldRoots is where data is looked for that entries are to adopt: archived roots,
// the newest first, as long as their boots came to nothing.
type oldRoots struct {
	root     *config.Root
	device   string
	archive  string // its path below the top level
	newest   string // the name in it of what this boot has archived; empty where it has kept its root
	sequence uint64
	// isArchived tells whether a member was archived then. What was not is still in
	// place, and an older root may be from before it was rolled back along with it.
	isArchived func(member string) bool
}

// openOldRoots returns how to open the root that a rollback has archived, with
// what was archived along with it of the mounts below dir, and those before it as
// long as their boots came to nothing; nil when there is none to look into. They are
// mounted detached, read-only, without devices and set-id programs. With an error
// the last of them is the one that could not be opened.
//
// A root that is kept, open as rootFd, may be from a boot that came to nothing: then
// what its entries are to adopt is still in the archive.
func openOldRoots(record *RollbackRecord, root *config.Root, dir string, rootFd int) func() ([]mounts.OldRoot, error) {
	from := &oldRoots{root: root, device: root.Device, archive: root.Archive, isArchived: func(string) bool { return true }}
	switch {
	case record.State == StateDone && record.Archive != "":
		from.device, from.sequence = record.Device, record.Sequence
		from.archive, from.newest = path.Dir(record.Archive), path.Base(record.Archive)
		from.isArchived = func(member string) bool {
			made, _ := record.Subvolume(member)
			return made.OldID != 0
		}
	case record.Fresh || root.Kind != config.KindBtrfs:
		return nil
	default:
		if _, err := sys.GetXattr(rootFd, enteredAttribute); !errors.Is(err, unix.ENODATA) {
			return nil
		}
	}
	return func() ([]mounts.OldRoot, error) {
		old, err := from.open(dir)
		if err != nil {
			err = format.Errorf("open the archived root: %w", err)
		}
		return old, err
	}
}

func (o *oldRoots) open(dir string) (old []mounts.OldRoot, err error) {
	// Its number is known, whatever comes of it.
	unknown := []mounts.OldRoot{{Fd: -1, Number: o.sequence}}
	members, err := MemberMounts(o.root, dir)
	if err != nil {
		return unknown, err
	}
	device, err := resolveDevice(o.device)
	if err != nil {
		return unknown, err
	}
	top, err := sys.NewMount("btrfs", []sys.Option{
		{Key: "source", Value: device},
		{Key: "subvolid", Value: format.Sprint(btrfs.TopLevelID)},
	}, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return unknown, err
	}
	defer unix.Close(top)
	names, err := o.names(top)
	if err != nil {
		return unknown, err
	}
	for n, name := range names {
		if n == mostOldRoots {
			number, _ := archive.ParseDirectoryName(name)
			return append(old, mounts.OldRoot{Fd: -1, Number: number}), format.Errorf("more than %d boots came to nothing", mostOldRoots)
		}
		var entered bool
		if old, entered, err = o.openGeneration(old, top, name, members); err != nil || entered {
			return old, err
		}
	}
	return old, nil
}

// openGeneration adds what was archived as one root. It reports whether all
// entries were in place in that boot: then it is the last to be looked at.
func (o *oldRoots) openGeneration(old []mounts.OldRoot, top int, name string, members []roots.Member) (_ []mounts.OldRoot, entered bool, err error) {
	number, isNumber := archive.ParseDirectoryName(name)
	if !isNumber { // it has not got its number yet
		number = o.sequence
	}
	where := path.Join(o.archive, name)
	for i := range members {
		m, fd := &members[i], -1
		if o.isArchived(m.Name) {
			fd, err = sys.OpenBeneath(top, path.Join(where, m.Name), unix.O_PATH|unix.O_DIRECTORY)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return append(old, mounts.OldRoot{Fd: -1, Number: number}), false, err
			}
		}
		old = append(old, mounts.OldRoot{Fd: fd, Mount: strings.TrimSuffix(m.Mount, "/"), Number: number})
	}
	entered, err = wasEntered(top, path.Join(where, archive.Root))
	return old, entered, err
}

// names returns the directories of the newest archived root and of those with
// smaller numbers, in descending order. Without a list of the archive it is the
// newest alone.
func (o *oldRoots) names(top int) (names []string, err error) {
	if o.newest != "" {
		names = append(names, o.newest)
	}
	fd, err := archive.Open(top, o.archive)
	if err != nil {
		return names, o.withoutList(err)
	}
	defer unix.Close(fd)
	numbers, err := archive.Numbers(fd)
	if err != nil {
		return names, o.withoutList(err)
	}
	own, isNumber := archive.ParseDirectoryName(o.newest)
	for _, number := range slices.Backward(numbers) {
		if isNumber && number >= own {
			continue
		}
		names = append(names, archive.DirectoryName(number))
	}
	return names, nil
}

// withoutList is the error of an archive that cannot be listed: none where what
// this boot has archived is known, or where there is no archive.
func (o *oldRoots) withoutList(err error) error {
	if o.newest != "" || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
