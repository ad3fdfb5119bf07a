package btrfs

import (
	"cmp"
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/ebb-nix/ebb/internal/format"
)

// Trees, object ids and item types of linux/btrfs_tree.h.
const (
	rootTreeID            = 1
	rootTreeDirectoryID   = 6
	typeInodeItem         = 1
	typeInodeReference    = 12
	typeExtendedReference = 13
	typeDirectoryItem     = 84
	typeDirectoryIndex    = 96
	typeExtentData        = 108
	typeRootItem          = 132
	typeRootBackReference = 144
)

// itemKey is the key of an item in a tree. Trees are sorted by it, field by
// field.
type itemKey struct {
	objectID uint64
	kind     uint8
	offset   uint64
}

func (k itemKey) compare(other itemKey) int {
	switch {
	case k.objectID != other.objectID:
		return cmp.Compare(k.objectID, other.objectID)
	case k.kind != other.kind:
		return cmp.Compare(k.kind, other.kind)
	}
	return cmp.Compare(k.offset, other.offset)
}

// next returns the smallest key above k; ok is false when k is the largest.
func (k itemKey) next() (following itemKey, ok bool) {
	switch {
	case k.offset < math.MaxUint64:
		return itemKey{k.objectID, k.kind, k.offset + 1}, true
	case k.kind < math.MaxUint8:
		return itemKey{k.objectID, k.kind + 1, 0}, true
	case k.objectID < math.MaxUint64:
		return itemKey{k.objectID + 1, 0, 0}, true
	}
	return itemKey{}, false
}

// visitor is called with each item; data is valid only during the call.
type visitor func(key itemKey, data []byte) error

// searchTree calls visit for each item of a tree whose key lies between first
// and last, both included, in ascending order. Items of all types are visited:
// the range is one of whole keys.
//
// A search takes several ioctls when there are many items and does not see one
// instant of the file system: what changes meanwhile can be missed or seen
// twice. BTRFS_IOC_TREE_SEARCH_V2, Linux 3.14; needs CAP_SYS_ADMIN.
func searchTree(fd int, treeID uint64, first, last itemKey, visit visitor) error {
	return searchTreeSince(fd, treeID, 0, first, last, visit)
}

// searchTreeSince is [searchTree] that leaves out the nodes of the tree that no
// transaction from oldest on has written.
func searchTreeSince(fd int, treeID, oldest uint64, first, last itemKey, visit visitor) error {
	args := new(searchArgs)
	for from, ok := first, true; ok && from.compare(last) <= 0; {
		args.key = searchKey{
			treeID:      treeID,
			minObjectID: from.objectID, minType: uint32(from.kind), minOffset: from.offset,
			maxObjectID: last.objectID, maxType: uint32(last.kind), maxOffset: last.offset,
			minTransactionID: oldest, maxTransactionID: math.MaxUint64,
			itemCount: math.MaxUint32,
		}
		args.bufferSize = uint64(len(args.buffer))
		if _, err := ioctl(fd, requestTreeSearchV2, unsafe.Pointer(args)); err != nil {
			return failID(opSearch, treeID, err)
		}
		if args.key.itemCount == 0 {
			return nil
		}
		newest, err := eachItem(args.buffer[:], args.key.itemCount, from, visit)
		if err != nil {
			return failID(opSearch, treeID, err)
		}
		from, ok = newest.next()
	}
	return nil
}

// eachItem calls visit for count items in buffer, which TREE_SEARCH_V2 filled,
// and returns the key of the last one. Headers are in the byte order of the
// machine, the items themselves in little endian.
//
// Keys must ascend and start at first or above: a search that goes on from the
// last key then always comes to an end, whatever the file system holds.
func eachItem(buffer []byte, count uint32, first itemKey, visit visitor) (itemKey, error) {
	var previous itemKey
	for i := range count {
		if len(buffer) < searchHeaderSize {
			return itemKey{}, format.Errorf("%w: item %d of %d begins beyond the search results", ErrCorrupt, i, count)
		}
		objectID, offset := binary.NativeEndian.Uint64(buffer[8:]), binary.NativeEndian.Uint64(buffer[16:])
		kind, length := binary.NativeEndian.Uint32(buffer[24:]), binary.NativeEndian.Uint32(buffer[28:])
		buffer = buffer[searchHeaderSize:]
		if kind > math.MaxUint8 {
			return itemKey{}, format.Errorf("%w: item of type %d", ErrCorrupt, kind)
		}
		key := itemKey{objectID, uint8(kind), offset}
		if uint64(length) > uint64(len(buffer)) {
			return itemKey{}, format.Errorf("%w: item %v has %d bytes, %d are left", ErrCorrupt, key, length, len(buffer))
		}
		if key.compare(first) < 0 || i > 0 && key.compare(previous) <= 0 {
			return itemKey{}, format.Errorf("%w: item %v is out of order", ErrCorrupt, key)
		}
		if err := visit(key, buffer[:length:length]); err != nil {
			return itemKey{}, err
		}
		buffer, previous = buffer[length:], key
	}
	return previous, nil
}
