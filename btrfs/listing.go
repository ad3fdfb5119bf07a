package btrfs

import (
	"cmp"
	"path"
	"slices"

	"github.com/ebb-nix/ebb/internal/format"
)

// Subvolume is one entry of a [Listing].
type Subvolume struct {
	ID       uint64
	Name     string // last component of its path; "" for the top level
	ParentID uint64 // the subvolume it lies in; 0 for the top level

	// DirectoryID is the inode number of the directory it lies in, in the
	// parent. Together with ParentID it proves, without a path, that the
	// subvolume lies in a directory that is open.
	DirectoryID uint64
	// Directory is the path of that directory below the root of the parent:
	// "" for the root itself, else "a/b". It is also "" when it could not be
	// found out; [Listing.Path] then says why.
	Directory    string
	directoryErr error

	TransactionID uint64 // the commit that last changed it ("generation")
	CreateID      uint64 // the commit that made it; 0 where it was not noted
	Created       int64  // when that was, ns since 1970
	Flags         Flags
	UUID          UUID
	ParentUUID    UUID // of the subvolume it is a snapshot of; zero if none
	ReceivedUUID  UUID // of the subvolume it was received from; zero if none
}

// Listing is the subvolumes of one file system in ascending order of their
// ids, including the top-level subvolume. Its methods rely on the order.
type Listing []Subvolume

// ByID returns the subvolume with this id; ok is false when there is none.
func (l Listing) ByID(id uint64) (subvolume Subvolume, ok bool) {
	i, found := slices.BinarySearchFunc(l, id, func(s Subvolume, id uint64) int {
		return cmp.Compare(s.ID, id)
	})
	if !found {
		return Subvolume{}, false
	}
	return l[i], true
}

// Path returns the path of a subvolume from the top-level subvolume, without a
// leading slash, and "." for the top level itself. It fails with
// [ErrNotFound] when the subvolume or one around it is not listed, with
// [ErrCorrupt] when the chain of parents is a loop, and when a directory on
// the way has no usable path.
func (l Listing) Path(id uint64) (string, error) {
	var components []string
	for current, left := id, len(l); current != TopLevelID; left-- {
		if left == 0 {
			return "", failID(opPath, id, errLoop())
		}
		subvolume, ok := l.ByID(current)
		if !ok {
			return "", failID(opPath, id, format.Errorf("%w: %d", ErrNotFound, current))
		}
		if subvolume.directoryErr != nil {
			return "", failID(opPath, id, subvolume.directoryErr)
		}
		components = append(components, path.Join(subvolume.Directory, subvolume.Name))
		current = subvolume.ParentID
	}
	if len(components) == 0 {
		return ".", nil
	}
	slices.Reverse(components)
	return path.Join(components...), nil
}

// IsBelow reports whether the chain of parents of a subvolume leads to
// ancestor. It is false for id == ancestor, when either is not listed, and
// when the chain is a loop: true is a proof.
func (l Listing) IsBelow(id, ancestor uint64) bool {
	if _, ok := l.ByID(ancestor); !ok || id == ancestor {
		return false
	}
	for range l {
		subvolume, ok := l.ByID(id)
		if !ok {
			return false
		}
		if subvolume.ParentID == ancestor {
			return true
		}
		id = subvolume.ParentID
	}
	return false
}

// Descendants returns all subvolumes inside of one, at any depth, each after
// those inside it (post-order, siblings by id): the order in which they can be
// deleted. The subvolume itself is not among them. It fails with
// [ErrNotFound] when id is not listed and with [ErrCorrupt] when a subvolume
// is inside itself.
func (l Listing) Descendants(id uint64) ([]Subvolume, error) {
	if _, ok := l.ByID(id); !ok {
		return nil, failID(opDescendants, id, ErrNotFound)
	}
	children := make(map[uint64][]Subvolume)
	for _, subvolume := range l {
		children[subvolume.ParentID] = append(children[subvolume.ParentID], subvolume)
	}
	// Pre-order with the largest id first is post-order with the smallest
	// first when read backwards. There is no recursion: the depth is up to
	// whoever made the file system.
	var reversed []Subvolume
	for pending := slices.Clone(children[id]); len(pending) > 0; {
		last := pending[len(pending)-1]
		// Each subvolume has one parent, so the only one that can be met
		// twice is the one where the walk began. The bound covers listings
		// with an id twice, which List does not return.
		if last.ID == id || len(reversed) > len(l) {
			return nil, failID(opDescendants, id, errLoop())
		}
		reversed = append(reversed, last)
		pending = append(pending[:len(pending)-1], children[last.ID]...)
	}
	slices.Reverse(reversed)
	return reversed, nil
}

func errLoop() error {
	return format.Errorf("%w: its chain of parents is a loop", ErrCorrupt)
}
