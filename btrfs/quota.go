package btrfs

import (
	"encoding/binary"
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

// Of the quota tree, in linux/btrfs_tree.h. The item of a quota group ends with
// four numbers of bytes: referenced, the same compressed, exclusive, the same
// compressed.
const (
	quotaTreeID         = 8
	typeQuotaStatus     = 240 // u64 version, generation, flags, ...
	typeQuotaInfo       = 242
	quotaInfoExclusive  = 24
	quotaInfoSize       = 40
	quotaStatusSize     = 24
	quotaStatusFlags    = 16
	quotaStatusUnsure   = 1<<1 | 1<<2 // a rescan is going on, or needed
	quotaSubvolumeLimit = 1 << 48     // larger ids are those of other groups
)

// Exclusive returns, for each subvolume by its id, how many bytes only it has,
// as of the last commit: what its deletion would free at least. It is nil where
// quotas are off, or their numbers are not sure. BTRFS_IOC_TREE_SEARCH_V2; needs
// CAP_SYS_ADMIN.
func Exclusive(fd int) (map[uint64]uint64, error) {
	sizes := map[uint64]uint64{}
	unsure := false
	first := itemKey{kind: typeQuotaStatus}
	last := itemKey{kind: typeQuotaInfo, offset: math.MaxUint64}
	err := searchTree(fd, quotaTreeID, first, last, func(key itemKey, data []byte) error {
		switch {
		case key.kind == typeQuotaStatus && len(data) >= quotaStatusSize:
			unsure = binary.LittleEndian.Uint64(data[quotaStatusFlags:])&quotaStatusUnsure != 0
		case key.kind == typeQuotaInfo && len(data) >= quotaInfoSize && key.offset < quotaSubvolumeLimit:
			sizes[key.offset] = binary.LittleEndian.Uint64(data[quotaInfoExclusive:])
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) || unsure {
		return nil, nil
	}
	return sizes, err
}
