package btrfs

import "unsafe"

// deviceArgs is struct btrfs_ioctl_vol_args.
type deviceArgs struct {
	fd   int64
	name [4088]byte
}

// volumeArgs is struct btrfs_ioctl_vol_args_v2. Its last union holds a name or
// a subvolume id.
type volumeArgs struct {
	fd            int64
	transactionID uint64
	flags         uint64
	unused        [4]uint64
	nameOrID      [4040]byte
}

// Flags of volumeArgs.
const (
	volumeReadOnly = 1 << 1 // BTRFS_SUBVOL_RDONLY
	volumeByID     = 1 << 4 // BTRFS_SUBVOL_SPEC_BY_ID
)

// timespec is struct btrfs_ioctl_timespec, padded as on 64-bit kernels.
type timespec struct {
	seconds     uint64
	nanoseconds uint32
	_           uint32
}

// subvolumeInfoArgs is struct btrfs_ioctl_get_subvol_info_args.
type subvolumeInfoArgs struct {
	id           uint64
	name         [256]byte
	parentID     uint64
	directoryID  uint64
	generation   uint64
	flags        uint64
	uuid         UUID
	parentUUID   UUID
	receivedUUID UUID
	changeID     uint64
	createID     uint64
	sendID       uint64
	receiveID    uint64
	changeTime   timespec
	createTime   timespec
	sendTime     timespec
	receiveTime  timespec
	_            [8]uint64
}

// searchKey is struct btrfs_ioctl_search_key.
type searchKey struct {
	treeID           uint64
	minObjectID      uint64
	maxObjectID      uint64
	minOffset        uint64
	maxOffset        uint64
	minTransactionID uint64
	maxTransactionID uint64
	minType          uint32
	maxType          uint32
	itemCount        uint32
	_                uint32
	_                [4]uint64
}

// searchBufferSize holds any single item: items are smaller than a tree node,
// which has 64 KiB at most. The kernel accepts up to 16 MiB.
const searchBufferSize = 128 << 10

// searchArgs is struct btrfs_ioctl_search_args_v2 with room for the results.
type searchArgs struct {
	key        searchKey
	bufferSize uint64
	buffer     [searchBufferSize]byte
}

// searchHeaderSize is the size of struct btrfs_ioctl_search_header, which
// precedes each item: u64 transid, objectid, offset; u32 type, len.
const searchHeaderSize = 32

// inodeLookupArgs is struct btrfs_ioctl_ino_lookup_args.
type inodeLookupArgs struct {
	treeID   uint64
	objectID uint64
	path     [4080]byte
}

// infoGeneration asks for the generation (BTRFS_FS_INFO_FLAG_GENERATION). A
// kernel that does not know it leaves the field zero.
const infoGeneration = 1 << 1

// fileSystemInfoArgs is struct btrfs_ioctl_fs_info_args.
type fileSystemInfoArgs struct {
	maxDeviceID    uint64
	deviceCount    uint64
	uuid           UUID
	nodeSize       uint32
	sectorSize     uint32
	cloneAlignment uint32
	checksumType   uint16
	checksumSize   uint16
	flags          uint64
	generation     uint64
	metadataUUID   UUID
	_              [944]byte
}

// A layout with a wrong size does not compile: the only index into an array of
// one element is 0.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(deviceArgs{})-4096]
	_ = [1]struct{}{}[unsafe.Sizeof(volumeArgs{})-4096]
	_ = [1]struct{}{}[unsafe.Sizeof(subvolumeInfoArgs{})-504]
	_ = [1]struct{}{}[unsafe.Sizeof(searchKey{})-104]
	_ = [1]struct{}{}[unsafe.Offsetof(searchArgs{}.buffer)-112]
	_ = [1]struct{}{}[unsafe.Sizeof(inodeLookupArgs{})-4096]
	_ = [1]struct{}{}[unsafe.Sizeof(fileSystemInfoArgs{})-1024]
	_ = [1]struct{}{}[unsafe.Sizeof(uintptr(0))-8]
)
