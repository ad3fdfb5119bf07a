package btrfs

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// rootDirectoryInode is the inode number of the root directory of every
// subvolume (BTRFS_FIRST_FREE_OBJECTID). No other directory of a subvolume has
// it.
const rootDirectoryInode = 256

// FileSystem is what the kernel knows about a mounted file system.
type FileSystem struct {
	UUID        UUID   // the UUID by which the file system is found and mounted
	DeviceCount uint64 // number of devices, including missing ones
	NodeSize    uint32 // bytes in a node of its trees
	SectorSize  uint32 // bytes in a data block
	Generation  uint64 // the last transaction that was begun; 0 before Linux 5.10
}

// IsBtrfs reports whether fd, any kind of descriptor, is on btrfs
// (fstatfs(2)).
func IsBtrfs(fd int) (bool, error) {
	var stat unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &stat) }); err != nil {
		return false, format.Errorf("fstatfs: %w", err)
	}
	return uint32(stat.Type) == unix.BTRFS_SUPER_MAGIC, nil
}

// IsSubvolume reports whether fd, any kind of descriptor, is the root
// directory of a btrfs subvolume. It is false, without an error, for other
// files and on other file systems.
func IsSubvolume(fd int) (bool, error) {
	var stat unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		return false, format.Errorf("fstat: %w", err)
	}
	if stat.Ino != rootDirectoryInode || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return false, nil
	}
	return IsBtrfs(fd)
}

// FSInfo returns what the kernel knows about the file system that fd is on.
// It fails with [ErrNotBtrfs] elsewhere. BTRFS_IOC_FS_INFO.
func FSInfo(fd int) (FileSystem, error) {
	if err := requireBtrfs(fd); err != nil {
		return FileSystem{}, failName(opFileSystem, "", err)
	}
	args := fileSystemInfoArgs{flags: infoGeneration}
	if _, err := ioctl(fd, requestFileSystemInfo, unsafe.Pointer(&args)); err != nil {
		return FileSystem{}, failName(opFileSystem, "", err)
	}
	return FileSystem{
		UUID:        args.uuid,
		DeviceCount: args.deviceCount,
		NodeSize:    args.nodeSize,
		SectorSize:  args.sectorSize,
		Generation:  args.generation,
	}, nil
}

// Sync writes back all dirty data of the file system that fd is on and commits
// the running transaction: afterwards every earlier change survives a power
// cut. It returns at once when nothing is dirty. It fails with [ErrNotBtrfs]
// elsewhere.
//
// It calls syncfs(2) and not BTRFS_IOC_SYNC: both write back and commit, but
// syncfs also returns write-back errors that happened since fd was opened
// (Linux 5.8).
func Sync(fd int) error {
	if err := requireBtrfs(fd); err != nil {
		return failName(opSync, "", err)
	}
	if err := retry(func() error { return unix.Syncfs(fd) }); err != nil {
		return failName(opSync, "", err)
	}
	return nil
}

func requireBtrfs(fd int) error {
	isBtrfs, err := IsBtrfs(fd)
	if err != nil {
		return err
	}
	if !isBtrfs {
		return ErrNotBtrfs
	}
	return nil
}

// requireSubvolume guards what the kernel does not or did not always check:
// before Linux 6.8 a snapshot of any directory was one of the subvolume
// around it.
func requireSubvolume(fd int) error {
	if err := requireBtrfs(fd); err != nil {
		return err
	}
	isSubvolume, err := IsSubvolume(fd)
	if err != nil {
		return err
	}
	if !isSubvolume {
		return ErrNotSubvolume
	}
	return nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
