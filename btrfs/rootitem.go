package btrfs

import (
	"encoding/binary"

	"github.com/ebb-nix/ebb/internal/format"
)

// Offsets in struct btrfs_root_item, which is packed. The item ends before
// generation_v2 when it was written by Linux 3.5 or older.
const (
	rootItemGeneration   = 160
	rootItemFlags        = 208
	rootItemReferences   = 216
	rootItemGenerationV2 = 239
	rootItemUUID         = 247
	rootItemParentUUID   = 263
	rootItemReceivedUUID = 279
	rootItemCreateID     = 303
	rootItemCreated      = 339
	rootItemSize         = 439
)

// Flags in a root item, which are not those of the ioctls.
const (
	rootItemReadOnly = 1 << 0  // BTRFS_ROOT_SUBVOL_RDONLY
	rootItemDead     = 1 << 48 // BTRFS_ROOT_SUBVOL_DEAD: deleted, being cleaned up
)

// rootItem is what is used of a struct btrfs_root_item.
type rootItem struct {
	transactionID uint64
	createID      uint64
	created       int64
	flags         Flags
	deleted       bool
	uuid          UUID
	parentUUID    UUID
	receivedUUID  UUID
}

// parseRootItem parses the item that describes the subvolume id.
func parseRootItem(id uint64, data []byte) (rootItem, error) {
	if len(data) < rootItemGenerationV2 {
		return rootItem{}, format.Errorf("%w: root item of subvolume %d has %d bytes, at least %d are needed",
			ErrCorrupt, id, len(data), rootItemGenerationV2)
	}
	flags := binary.LittleEndian.Uint64(data[rootItemFlags:])
	item := rootItem{
		transactionID: binary.LittleEndian.Uint64(data[rootItemGeneration:]),
		flags:         flagsOfRootItem(flags),
		deleted:       flags&rootItemDead != 0 || binary.LittleEndian.Uint32(data[rootItemReferences:]) == 0,
	}
	// An old kernel that writes a new item leaves generation_v2 and what
	// follows as it was: it is valid only when the generations agree
	// (btrfs_read_root_item).
	if len(data) >= rootItemSize && binary.LittleEndian.Uint64(data[rootItemGenerationV2:]) == item.transactionID {
		item.createID = binary.LittleEndian.Uint64(data[rootItemCreateID:])
		item.created = nanoseconds(data[rootItemCreated:])
		item.uuid = UUID(data[rootItemUUID:])
		item.parentUUID = UUID(data[rootItemParentUUID:])
		item.receivedUUID = UUID(data[rootItemReceivedUUID:])
	}
	return item, nil
}

// flagsOfRootItem converts flags of a root item, which BTRFS_IOC_GET_SUBVOL_INFO
// returns as well, to those of the flag ioctls.
func flagsOfRootItem(flags uint64) Flags {
	if flags&rootItemReadOnly != 0 {
		return FlagReadOnly
	}
	return 0
}

// rootReferenceSize is the size of struct btrfs_root_ref before the name: u64
// dirid, u64 sequence, u16 name_len.
const rootReferenceSize = 18

// parseRootReference parses the item that says where the subvolume id lies in
// its parent.
func parseRootReference(id uint64, data []byte) (directoryID uint64, name string, err error) {
	if len(data) < rootReferenceSize {
		return 0, "", format.Errorf("%w: reference to subvolume %d has %d bytes, at least %d are needed",
			ErrCorrupt, id, len(data), rootReferenceSize)
	}
	directoryID = binary.LittleEndian.Uint64(data)
	length := int(binary.LittleEndian.Uint16(data[16:]))
	if length > len(data)-rootReferenceSize {
		return 0, "", format.Errorf("%w: name of subvolume %d has %d bytes, %d are left",
			ErrCorrupt, id, length, len(data)-rootReferenceSize)
	}
	name = string(data[rootReferenceSize : rootReferenceSize+length])
	if err := checkName(name); err != nil {
		return 0, "", format.Errorf("%w: subvolume %d: %w", ErrCorrupt, id, err)
	}
	return directoryID, name, nil
}
