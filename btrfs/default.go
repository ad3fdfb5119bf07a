package btrfs

import (
	"encoding/binary"
	"math"

	"github.com/ebb-nix/ebb/internal/format"
)

// Offsets in struct btrfs_dir_item, which is packed: the key of what it leads
// to, u64 transid, u16 data_len, u16 name_len, u8 type, then name and data.
const (
	directoryItemDataLength = 25
	directoryItemNameLength = 27
	directoryItemSize       = 30
)

// defaultName is the name under which the root tree refers to the default
// subvolume.
const defaultName = "default"

// DefaultSubvolumeID returns the id of the subvolume that is mounted when no
// subvol= or subvolid= option is given: [TopLevelID] unless it was changed.
// The kernel refuses to delete it. BTRFS_IOC_TREE_SEARCH_V2; needs
// CAP_SYS_ADMIN.
func DefaultSubvolumeID(fd int) (uint64, error) {
	if err := requireBtrfs(fd); err != nil {
		return 0, failName(opDefault, "", err)
	}
	id := uint64(TopLevelID)
	first := itemKey{objectID: rootTreeDirectoryID, kind: typeDirectoryItem}
	last := itemKey{objectID: rootTreeDirectoryID, kind: typeDirectoryItem, offset: math.MaxUint64}
	err := searchTree(fd, rootTreeID, first, last, func(_ itemKey, data []byte) error {
		target, found, err := parseDefault(data)
		if found {
			id = target
		}
		return err
	})
	if err != nil {
		return 0, failName(opDefault, "", err)
	}
	return id, nil
}

// parseDefault looks for the entry "default" in a directory item. One item
// holds several entries when the hashes of their names collide.
func parseDefault(data []byte) (id uint64, found bool, err error) {
	for len(data) > 0 {
		if len(data) < directoryItemSize {
			return 0, false, format.Errorf("%w: directory item of %d bytes", ErrCorrupt, len(data))
		}
		nameLength := int(binary.LittleEndian.Uint16(data[directoryItemNameLength:]))
		end := directoryItemSize + nameLength + int(binary.LittleEndian.Uint16(data[directoryItemDataLength:]))
		if end > len(data) {
			return 0, false, format.Errorf("%w: directory item of %d bytes, %d are needed", ErrCorrupt, len(data), end)
		}
		if string(data[directoryItemSize:directoryItemSize+nameLength]) == defaultName {
			return binary.LittleEndian.Uint64(data), true, nil
		}
		data = data[end:]
	}
	return 0, false, nil
}
