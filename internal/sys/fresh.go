package sys

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
)

// MakeFresh makes the directory name in dirFd, with mode 0700, and opens it for
// reading. Where others could have exchanged it meanwhile it is checked.
func MakeFresh(dirFd int, name string) (int, error) {
	parent, err := Stat(dirFd)
	if err == nil {
		err = MakeDirectory(dirFd, name, 0o700)
	}
	if err != nil {
		return -1, err
	}
	fd, err := OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil && (parent.UID != 0 || parent.Mode&0o022 != 0) {
		if err = CheckFresh(fd); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return -1, errors.Join(pathError("mkdir", name, err), Remove(dirFd, name)) // if it is empty
	}
	DropACLs(fd)
	return fd, nil
}

// CheckFresh fails when a directory, opened for reading, cannot be the one that
// this process has just made with mode 0700: who can write to its parent may
// have exchanged it before it was opened, and it must not be given away.
func CheckFresh(fd int) error {
	status, err := Stat(fd)
	if err != nil {
		return err
	}
	if int(status.UID) != unix.Geteuid() || status.Permissions()&^unix.S_ISGID != 0o700 {
		return format.Errorf("was exchanged for one of uid %d, mode %04o, while it was made", status.UID, status.Permissions())
	}
	empty, err := IsEmpty(fd)
	if err == nil && !empty {
		err = errors.New("was exchanged for one that is not empty while it was made")
	}
	return err
}

// IsEmpty reports whether the directory fd, not O_PATH, has no names in it. An
// empty one stands at its beginning again.
func IsEmpty(fd int) (bool, error) {
	if _, err := Seek(fd, 0, unix.SEEK_SET); err != nil {
		return false, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := retryInt(func() (int, error) { return unix.Getdents(fd, buf) })
		if err != nil {
			return false, format.Errorf("getdents: %w", err)
		}
		if n == 0 {
			_, err := Seek(fd, 0, unix.SEEK_SET) // for who reads it next
			return true, err
		}
		if _, count, _ := unix.ParseDirent(buf[:n], 1, nil); count > 0 {
			return false, nil
		}
	}
}
