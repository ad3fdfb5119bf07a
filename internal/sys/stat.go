package sys

import (
	"golang.org/x/sys/unix"
)

// Status is what ebb wants to know of an inode, from one statx(2).
type Status struct {
	Mode     uint16 // type and permission bits, as in stat(2)
	UID, GID uint32
	Nlink    uint32
	Inode    uint64
	Size     uint64
	Blocks   uint64 // of 512 bytes, that it takes on the disk
	Device   uint64 // unix.Mkdev of the file system's anonymous or real device
	MountID  uint64 // 0 where the kernel does not tell (before Linux 5.8)
	Atime    unix.StatxTimestamp
	Mtime    unix.StatxTimestamp
	Ctime    unix.StatxTimestamp
	Rdev     uint64 // of a device node: what it is the node of
	Attrs    uint64 // STATX_ATTR_*
}

// Type returns the S_IFMT part of the mode.
func (s *Status) Type() uint16 { return s.Mode & unix.S_IFMT }

// IsDirectory reports whether the inode is a directory.
func (s *Status) IsDirectory() bool { return s.Type() == unix.S_IFDIR }

// IsRegular reports whether the inode is a regular file.
func (s *Status) IsRegular() bool { return s.Type() == unix.S_IFREG }

// IsSymlink reports whether the inode is a symbolic link.
func (s *Status) IsSymlink() bool { return s.Type() == unix.S_IFLNK }

// Permissions returns the mode without the type: rwx bits, set-id and sticky.
func (s *Status) Permissions() uint32 { return uint32(s.Mode) & 0o7777 }

// SameInode reports whether both describe one inode of one file system.
func (s *Status) SameInode(o *Status) bool { return s.Inode == o.Inode && s.Device == o.Device }

// IsMountRoot reports whether the inode is the root of a mount
// (STATX_ATTR_MOUNT_ROOT, Linux 5.8).
func (s *Status) IsMountRoot() bool { return s.Attrs&unix.STATX_ATTR_MOUNT_ROOT != 0 }

// TypeName names the type for messages: "directory", "regular file", ...
func (s *Status) TypeName() string {
	switch s.Type() {
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFREG:
		return "regular file"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFIFO:
		return "FIFO"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR:
		return "character device"
	case unix.S_IFBLK:
		return "block device"
	}
	return "unknown kind of file"
}

// Stat describes the open fd itself; O_PATH descriptors will do.
func Stat(fd int) (Status, error) {
	return statx(fd, "", unix.AT_EMPTY_PATH)
}

// StatComponent describes name in dirFd, without following a link.
func StatComponent(dirFd int, name string) (Status, error) {
	if err := CheckName(name); err != nil {
		return Status{}, pathError("statx", name, err)
	}
	return statx(dirFd, name, unix.AT_SYMLINK_NOFOLLOW)
}

func statx(dirFd int, name string, flags int) (Status, error) {
	var st unix.Statx_t
	err := retry(func() error {
		return unix.Statx(dirFd, name, flags|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	})
	if err != nil {
		return Status{}, pathError("statx", name, err)
	}
	return Status{
		Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: st.Nlink,
		Inode: st.Ino, Size: st.Size, Blocks: st.Blocks, Atime: st.Atime, Mtime: st.Mtime, Ctime: st.Ctime,
		Rdev:    unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		Device:  unix.Mkdev(st.Dev_major, st.Dev_minor),
		MountID: st.Mnt_id, Attrs: st.Attributes,
	}, nil
}
