package keep

import (
	"errors"
	"io/fs"
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
		return FateKept, by, ""
	}
	if p == "/" {
		return FateLost, nil, ""
	}
	fd, err := sys.OpenBeneath(m.Root.Fd, strings.TrimPrefix(p, "/"), unix.O_PATH)
	if errors.Is(err, fs.ErrNotExist) {
		return FateMissing, nil, ""
	}
	var status sys.Status
	if err == nil {
		defer unix.Close(fd)
		status, err = sys.Stat(fd)
	}
	var table []mounts.MountInfo
	if err == nil {
		table, err = mounts.ReadMountInfo()
	}
	if err != nil {
		return FateUnknown, nil, err.Error()
	}
	if err := m.guardMount(&status, &Result{Path: p, Store: "/"}, table); err != nil {
		return FateStays, nil, err.Error()
	}
	return FateLost, nil, ""
}
