package keep

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// Fate is what the next boot does to a path.
type Fate string

// The fates.
const (
	FateKept    Fate = "kept"    // an entry brings it back
	FateStore   Fate = "store"   // it lies in a store
	FateStays   Fate = "stays"   // it lies on a file system that no boot makes fresh
	FateLost    Fate = "lost"    // it goes with the root
	FateMissing Fate = "missing" // there is no such path
	FateUnknown Fate = "unknown" // it could not be looked at
)

// Why says what becomes of a clean absolute path, by which entry of which
// store if one keeps it, or for what reason. What lies in the place of an entry
// that is not in place is lost, unless the next boot can adopt it.
func (m *Machine) Why(p string) (fate Fate, by *mounts.Item, reason string) {
	for i := range m.Root.Stores {
		if store := m.Root.Stores[i].Path; within(p, store) {
			return FateStore, nil, "it lies in the store " + store
		}
	}
	for _, item := range mounts.Order(m.Root.Stores) {
		if p == item.Entry.Path || item.Entry.Directory && within(p, item.Entry.Path) {
			by = &item // go on: what lies deeper comes later
		}
	}
	if by != nil {
		if now := m.alone(by.Entry, by.Store.Path).Check().Entries[0]; !now.OK() {
			return FateLost, by, format.Sprintf("the entry %s of %s is not in place: %s", by.Entry.Path, by.Store.Path, now.Reason)
		}
	}
	on, err := m.mountOf(p)
	switch {
	case errors.Is(err, fs.ErrNotExist) && by == nil:
		return FateMissing, nil, ""
	case err != nil && by == nil:
		return FateUnknown, nil, err.Error()
	case err != nil, by != nil && !within(on.MountPoint, m.seen(by.Entry.Path)), by != nil && on.MountPoint == m.seen(by.Entry.Path):
		return FateKept, by, ""
	case on.Type == "tmpfs" || on.Type == "ramfs":
		if by != nil || on.MountPoint != m.Root.Dir {
			return FateLost, nil, "it lies in memory, on " + on.MountPoint
		}
	case on.MountPoint != m.Root.Dir && !m.isEphemeral(on.MountPoint):
		return FateStays, nil, format.Sprintf("it lies on another file system, %s on %s", on.Type, on.MountPoint)
	}
	return FateLost, nil, ""
}

// isEphemeral reports whether each boot makes what is mounted there fresh.
func (m *Machine) isEphemeral(mountPoint string) bool {
	for _, dir := range m.Ephemeral {
		if mountPoint == m.seen(dir) {
			return true
		}
	}
	return false
}

// mountOf finds the mount that a path lies on. A link that the path ends in is
// not followed.
func (m *Machine) mountOf(p string) (on mounts.MountInfo, err error) {
	dir, name := path.Split(p)
	parent, err := sys.Duplicate(m.Root.Fd)
	if dir != "/" && err == nil {
		unix.Close(parent)
		parent, err = sys.OpenBeneath(m.Root.Fd, strings.Trim(dir, "/"), unix.O_PATH|unix.O_DIRECTORY)
	}
	if err != nil {
		return on, err
	}
	defer unix.Close(parent)
	fd := parent
	if name != "" {
		if fd, err = sys.OpenComponent(parent, name, unix.O_PATH); err != nil {
			return on, err
		}
		defer unix.Close(fd)
	}
	status, err := sys.Stat(fd)
	if err != nil {
		return on, err
	}
	table, err := mounts.ReadMountInfo()
	for i := range table {
		if table[i].ID == status.MountID {
			return table[i], nil
		}
	}
	return on, errors.Join(err, format.Errorf("mount %d, which it lies on, is not in mountinfo", status.MountID))
}
