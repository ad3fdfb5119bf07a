package btrfs

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// Ids of subvolumes. Those that users create lie between
// BTRFS_FIRST_FREE_OBJECTID and BTRFS_LAST_FREE_OBJECTID. The kernel hands them
// out in ascending order, but at each mount goes on from the highest that is
// there (btrfs_init_root_free_objectid): an id can come back after its
// subvolume was deleted. Only the UUID identifies a subvolume for good.
const (
	// TopLevelID is the id of the top-level subvolume, which every file
	// system has, which contains all others and cannot be deleted.
	TopLevelID = 5

	firstSubvolumeID = 256
	lastSubvolumeID  = 1<<64 - 256
)

// CreateSubvolume creates an empty, writable subvolume name in the directory
// dirFd. Its root directory belongs to the caller's file system uid and gid
// and has mode 0777 less the umask.
//
// Since Linux 6.5 it is not durable on return; see [Sync].
// BTRFS_IOC_SUBVOL_CREATE_V2.
func CreateSubvolume(dirFd int, name string) error {
	args, err := namedArgs(dirFd, name)
	if err != nil {
		return failName(opCreate, name, err)
	}
	if _, err := ioctl(dirFd, requestSubvolumeCreateV2, unsafe.Pointer(args)); err != nil {
		return failName(opCreate, name, err)
	}
	return nil
}

// Snapshot creates a snapshot of the subvolume sourceFd as name in the
// directory dirFd, on the same file system. Subvolumes inside the source are
// not part of it: they appear as empty directories.
//
// It fails with [ErrNotSubvolume] when sourceFd is not the root directory of a
// subvolume. It commits the file system, so it is durable on return, together
// with every earlier change. BTRFS_IOC_SNAP_CREATE_V2.
func Snapshot(dirFd int, name string, sourceFd int, readOnly bool) error {
	if err := requireSubvolume(sourceFd); err != nil {
		return failName(opSnapshot, name, format.Errorf("source: %w", err))
	}
	args, err := namedArgs(dirFd, name)
	if err != nil {
		return failName(opSnapshot, name, err)
	}
	args.fd = int64(sourceFd)
	if readOnly {
		args.flags = volumeReadOnly
	}
	if _, err := ioctl(dirFd, requestSnapshotCreateV2, unsafe.Pointer(args)); err != nil {
		return failName(opSnapshot, name, err)
	}
	return nil
}

// DeleteByID deletes the subvolume with this id, wherever it is on the file
// system that the directory fsFd is on, also outside of what is mounted there.
// A subvolume with others inside is refused (ENOTEMPTY): delete those first,
// in the order of [Listing.Descendants]. Deleting what does not exist is an
// error that matches [ErrNotFound].
//
// The kernel does not refuse to delete a read-only subvolume, nor one that is
// mounted elsewhere: the caller has to know that nobody needs it.
//
// The kernel works out the path, and fails with ENAMETOOLONG when that has 4096
// bytes or more, which anyone who may create directories can bring about. Such
// a subvolume can be deleted by [DeleteByName] from an open directory.
//
// It returns when the name is gone. The space is freed later, and until the
// next commit ([Sync]) a power cut can bring the subvolume back.
// BTRFS_IOC_SNAP_DESTROY_V2, Linux 5.7; needs CAP_SYS_ADMIN.
func DeleteByID(fsFd int, id uint64) error {
	if id < firstSubvolumeID || id > lastSubvolumeID {
		return failID(opDelete, id, format.Errorf("%w: ids of subvolumes start at %d", unix.EINVAL, firstSubvolumeID))
	}
	if err := requireBtrfs(fsFd); err != nil {
		return failID(opDelete, id, err)
	}
	args := &volumeArgs{flags: volumeByID}
	binary.NativeEndian.PutUint64(args.nameOrID[:], id)
	if _, err := ioctl(fsFd, requestSnapshotDestroyV2, unsafe.Pointer(args)); err != nil {
		return failID(opDelete, id, err)
	}
	return nil
}

// DeleteByName deletes the subvolume name in the directory dirFd, under the
// conditions of [DeleteByID]. A name can be given to another subvolume at any
// time; where the id is known and the kernel takes it, an id is safer. What is
// not a subvolume is refused (EINVAL). BTRFS_IOC_SNAP_DESTROY_V2, Linux 5.7.
func DeleteByName(dirFd int, name string) error {
	args, err := namedArgs(dirFd, name)
	if err != nil {
		return failName(opDelete, name, err)
	}
	if _, err := ioctl(dirFd, requestSnapshotDestroyV2, unsafe.Pointer(args)); err != nil {
		return failName(opDelete, name, err)
	}
	return nil
}

// namedArgs prepares the creation or deletion of name in dirFd.
func namedArgs(dirFd int, name string) (*volumeArgs, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := requireBtrfs(dirFd); err != nil {
		return nil, err
	}
	args := new(volumeArgs)
	copy(args.nameOrID[:], name)
	return args, nil
}
