package btrfs

import (
	"time"
	"unsafe"
)

// SubvolumeInfo describes one subvolume.
type SubvolumeInfo struct {
	ID          uint64 // unique while the subvolume exists, see TopLevelID
	Name        string // last component of its path; "" for the top level
	ParentID    uint64 // the subvolume it lies in; 0 for the top level
	DirectoryID uint64 // inode number of its directory in the parent; 0 as above

	// TransactionID is the number of the commit that last changed anything in
	// the subvolume (its "generation").
	TransactionID uint64
	Flags         Flags

	UUID         UUID // new for each subvolume and snapshot; renames keep it
	ParentUUID   UUID // of the subvolume it is a snapshot of; zero if none
	ReceivedUUID UUID // of the subvolume it was received from; zero if none

	Created time.Time // when it or the snapshot was made, by the clock of then
	Changed time.Time // when an inode in it last changed, as of the last commit
}

// Info describes the subvolume that fd lies in; fd need not be its root
// directory. It fails with [ErrNotFound] when the subvolume has been deleted and
// only something in it is still open, and with [ErrNotBtrfs] elsewhere.
// BTRFS_IOC_GET_SUBVOL_INFO, Linux 4.18; no privileges needed.
func Info(fd int) (SubvolumeInfo, error) {
	if err := requireBtrfs(fd); err != nil {
		return SubvolumeInfo{}, failName(opInfo, "", err)
	}
	args := new(subvolumeInfoArgs)
	if _, err := ioctl(fd, requestSubvolumeInfo, unsafe.Pointer(args)); err != nil {
		return SubvolumeInfo{}, failName(opInfo, "", err)
	}
	return SubvolumeInfo{
		ID:            args.id,
		Name:          cString(args.name[:]),
		ParentID:      args.parentID,
		DirectoryID:   args.directoryID,
		TransactionID: args.generation,
		Flags:         flagsOfRootItem(args.flags),
		UUID:          args.uuid,
		ParentUUID:    args.parentUUID,
		ReceivedUUID:  args.receivedUUID,
		Created:       args.createTime.time(),
		Changed:       args.changeTime.time(),
	}, nil
}

func (t timespec) time() time.Time {
	return time.Unix(int64(t.seconds), int64(t.nanoseconds))
}
