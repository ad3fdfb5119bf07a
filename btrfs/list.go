package btrfs

import (
	"math"
	"sort"

	"github.com/ebb-nix/ebb/internal/format"
)

// List lists all subvolumes of the file system that fd is on, also those
// outside of what is mounted there, and the top-level subvolume itself.
// Subvolumes that have been deleted and wait to be cleaned up are left out.
//
// The listing is not one instant of a file system that changes meanwhile, but
// no subvolume in it ever has an invented parent. TransactionID is as of the
// last commit. BTRFS_IOC_TREE_SEARCH_V2 and BTRFS_IOC_INO_LOOKUP; needs
// CAP_SYS_ADMIN.
func List(fd int) (Listing, error) {
	if err := requireBtrfs(fd); err != nil {
		return nil, failName(opListing, "", err)
	}
	found := newCollector()
	first := itemKey{objectID: TopLevelID, kind: typeRootItem}
	last := itemKey{objectID: lastSubvolumeID, kind: typeRootBackReference, offset: math.MaxUint64}
	if err := searchTree(fd, rootTreeID, first, last, found.add); err != nil {
		return nil, failName(opListing, "", err)
	}
	listing := found.listing()
	resolveDirectories(fd, listing)
	return listing, nil
}

// collector gathers subvolumes from items of the root tree.
type collector struct {
	roots  map[uint64]rootItem
	places map[uint64]place
}

// place is where a subvolume lies.
type place struct {
	parentID    uint64
	directoryID uint64
	name        string
}

func newCollector() *collector {
	return &collector{roots: make(map[uint64]rootItem), places: make(map[uint64]place)}
}

// add is a [visitor]. Items of other types and trees are passed over: the root
// tree also holds the extent tree and the like, and inodes of the v1 free
// space cache.
func (c *collector) add(key itemKey, data []byte) error {
	id := key.objectID
	if !isSubvolumeID(id) {
		return nil
	}
	switch key.kind {
	case typeRootItem:
		item, err := parseRootItem(id, data)
		if err != nil {
			return err
		}
		c.roots[id] = item
	case typeRootBackReference:
		return c.addPlace(id, key.offset, data)
	}
	return nil
}

func isSubvolumeID(id uint64) bool {
	return id == TopLevelID || id >= firstSubvolumeID && id <= lastSubvolumeID
}

func (c *collector) addPlace(id, parentID uint64, data []byte) error {
	directoryID, name, err := parseRootReference(id, data)
	if err != nil {
		return err
	}
	if id == TopLevelID || !isSubvolumeID(parentID) {
		return format.Errorf("%w: subvolume %d lies in %d", ErrCorrupt, id, parentID)
	}
	if other, twice := c.places[id]; twice {
		return format.Errorf("%w: subvolume %d lies in both %d and %d, or was moved during the search",
			ErrCorrupt, id, other.parentID, parentID)
	}
	c.places[id] = place{parentID, directoryID, name}
	return nil
}

// ids are those of all subvolumes that were found, in ascending order.
func (c *collector) ids() []uint64 {
	ids := make([]uint64, 0, len(c.roots))
	for id := range c.roots {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}

// listing returns what was found, without deleted subvolumes. On deletion the
// reference goes at once, the flag and the reference count in the root item
// follow with the next commit.
func (c *collector) listing() Listing {
	var listing Listing
	for _, id := range c.ids() {
		item, where := c.roots[id], c.places[id]
		if item.deleted || where.name == "" && id != TopLevelID {
			continue
		}
		listing = append(listing, Subvolume{
			ID:            id,
			Name:          where.name,
			ParentID:      where.parentID,
			DirectoryID:   where.directoryID,
			TransactionID: item.transactionID,
			CreateID:      item.createID,
			Created:       item.created,
			Flags:         item.flags,
			UUID:          item.uuid,
			ParentUUID:    item.parentUUID,
			ReceivedUUID:  item.receivedUUID,
		})
	}
	return listing
}
