package sys

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// ChangeOwner changes the owner of the inode that fd is open on; O_PATH
// descriptors will do. Of a regular file it takes away the set-id bits
// (chown(2)), so change the mode afterwards.
func ChangeOwner(fd int, uid, gid uint32) error {
	err := retry(func() error { return unix.Fchownat(fd, "", int(uid), int(gid), unix.AT_EMPTY_PATH) })
	if err != nil {
		return format.Errorf("chown to %d:%d: %w", uid, gid, err)
	}
	return nil
}

// ChangeMode changes the permissions of the inode that fd is open on. fchmod(2)
// refuses O_PATH descriptors with EBADF.
func ChangeMode(fd int, mode uint32) error {
	if err := retry(func() error { return unix.Fchmod(fd, mode) }); err != nil {
		return format.Errorf("chmod to %04o: %w", mode, err)
	}
	return nil
}

// Reopen opens the inode behind fd, an O_PATH descriptor for example, anew
// with other flags: whatever happened to its name since, it is the same inode.
// It goes through /proc, which has to be mounted. The caller has looked at the
// type: opening a FIFO or a device has effects.
func Reopen(fd, flags int) (int, error) {
	path := DescriptorPath(fd)
	next, err := retryInt(func() (int, error) {
		return unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	})
	return next, pathError("reopen", path, err)
}

// ReopenDirectory opens the directory behind fd anew with other flags, without
// the help of /proc.
func ReopenDirectory(fd, flags int) (int, error) { return reopen(fd, flags) }

// DescriptorPath returns the magic link to what fd is open on, for the calls
// that only take paths. proc_pid_fd(5).
func DescriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// xattrMax is XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h, in bytes.
const xattrMax = 64 << 10

// ListXattrs returns the names of the extended attributes of what fd is open
// on, not an O_PATH descriptor. A file system without them has none.
func ListXattrs(fd int) ([]string, error) {
	buf, err := growing(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	if errors.Is(err, unix.ENOTSUP) || len(buf) == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, format.Errorf("flistxattr: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(buf), "\x00"), "\x00"), nil
}

// GetXattr returns one extended attribute of what fd is open on, O_PATH or not.
// Without such an attribute the error is ENODATA.
func GetXattr(fd int, name string) ([]byte, error) {
	value, err := growing(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
	if errors.Is(err, unix.EBADF) { // O_PATH, before it is looked for
		value, err = growing(func(buf []byte) (int, error) { return unix.Getxattr(DescriptorPath(fd), name, buf) })
	}
	if err != nil {
		return nil, format.Errorf("fgetxattr %q: %w", name, err)
	}
	return value, nil
}

// SetXattr makes or replaces an extended attribute of what fd is open on, O_PATH
// or not.
func SetXattr(fd int, name string, value []byte) error {
	err := retry(func() error { return unix.Fsetxattr(fd, name, value, 0) })
	if errors.Is(err, unix.EBADF) {
		err = retry(func() error { return unix.Setxattr(DescriptorPath(fd), name, value, 0) })
	}
	if err != nil {
		return format.Errorf("fsetxattr %q: %w", name, err)
	}
	return nil
}

// RemoveXattr removes an extended attribute of what fd is open on.
func RemoveXattr(fd int, name string) error {
	if err := retry(func() error { return unix.Fremovexattr(fd, name) }); err != nil {
		return format.Errorf("fremovexattr %q: %w", name, err)
	}
	return nil
}

// DropACLs takes off the ACLs that something new has got from its directory, of
// whoever owns that: it is to have its own owner and mode and nothing else (acl(5)).
// It is best effort: on a file system without ACLs there is nothing to take off, and
// on another the worst case is that the new one keeps them.
func DropACLs(fd int) {
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		_ = RemoveXattr(fd, name)
	}
}

// growing calls read with a small buffer, and with the largest when that is
// not enough.
func growing(read func([]byte) (int, error)) ([]byte, error) {
	buf := make([]byte, 512)
	n, err := retryInt(func() (int, error) { return read(buf) })
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, xattrMax)
		n, err = retryInt(func() (int, error) { return read(buf) })
	}
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// NoCOW is FS_NOCOW_FL of linux/fs.h: chattr +C.
const NoCOW = 0x00800000

// InodeFlags returns the FS_*_FL flags of what fd is open on. ioctl_iflags(2).
func InodeFlags(fd int) (uint32, error) {
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return 0, format.Errorf("FS_IOC_GETFLAGS: %w", err)
	}
	return flags, nil
}

// AddInodeFlags sets FS_*_FL flags on what fd is open on. ioctl_iflags(2).
func AddInodeFlags(fd int, add uint32) error {
	flags, err := InodeFlags(fd)
	if err != nil || flags&add == add {
		return err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags|add)); err != nil {
		return format.Errorf("FS_IOC_SETFLAGS: %w", err)
	}
	return nil
}

// Detach takes the mount that fd is open on out of the mount tree, as
// umount2(2) does with MNT_DETACH. Through /proc, for want of a call that
// takes a descriptor.
func Detach(fd int) error {
	path := DescriptorPath(fd)
	return pathError("umount", path, retry(func() error { return unix.Unmount(path, unix.MNT_DETACH) }))
}
