package btrfs

import "unsafe"

// Flags are the flags of a subvolume, as BTRFS_IOC_SUBVOL_GETFLAGS returns
// them. Only [FlagReadOnly] is known; others are kept as they are.
type Flags uint64

// FlagReadOnly is BTRFS_SUBVOL_RDONLY: nothing in the subvolume can be changed
// through any mount. It can be renamed within its directory, but not moved to
// another one (EROFS), and it can be deleted.
const FlagReadOnly Flags = 1 << 1

// IsReadOnly reports whether FlagReadOnly is set.
func (f Flags) IsReadOnly() bool { return f&FlagReadOnly != 0 }

// GetFlags returns the flags of the subvolume fd. It fails with
// [ErrNotSubvolume] or [ErrNotBtrfs]. BTRFS_IOC_SUBVOL_GETFLAGS.
func GetFlags(fd int) (Flags, error) {
	if err := requireSubvolume(fd); err != nil {
		return 0, failName(opGetFlags, "", err)
	}
	var flags Flags
	if _, err := ioctl(fd, requestGetFlags, unsafe.Pointer(&flags)); err != nil {
		return 0, failName(opGetFlags, "", err)
	}
	return flags, nil
}

// SetReadOnly makes the subvolume fd read-only or writable and keeps its other
// flags. When it already is as wanted, nothing is written. A change commits
// the file system: it is durable on return, together with every earlier
// change.
//
// The kernel does not wait for writers: files that are open for writing fail
// with EROFS from then on. The UUID of a received subvolume stays although a
// writable one may no longer be what was received.
// BTRFS_IOC_SUBVOL_SETFLAGS; root or the owner of the subvolume.
func SetReadOnly(fd int, readOnly bool) error {
	op := opReadWrite
	if readOnly {
		op = opReadOnly
	}
	flags, err := GetFlags(fd)
	if err != nil {
		return failName(op, "", err)
	}
	if flags.IsReadOnly() == readOnly {
		return nil
	}
	flags ^= FlagReadOnly
	if _, err := ioctl(fd, requestSetFlags, unsafe.Pointer(&flags)); err != nil {
		return failName(op, "", err)
	}
	return nil
}
