package copytree

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// copyMetadata gives target what status and source say. The order matters:
// chown takes away set-id bits and capabilities, chmod changes the mask of an
// ACL, and everything changes times.
func (c *copier) copyMetadata(source, target int, status *sys.Status) error {
	if err := sys.ChangeOwner(target, status.UID, status.GID); err != nil {
		return err
	}
	mode := status.Permissions()
	if !c.options.SetID && !status.IsDirectory() {
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	if err := sys.ChangeMode(target, mode); err != nil {
		return err
	}
	if err := c.copyXattrs(source, target); err != nil {
		return err
	}
	return setFileTimes(target, status)
}

// wantXattr reports whether an attribute is to be copied. Notes that ebb makes
// for itself are about one place and not about the data.
func (c *copier) wantXattr(name string) bool {
	return !strings.HasPrefix(name, "trusted.ebb.") && (c.options.SetID || name != "security.capability")
}

func (c *copier) copyXattrs(source, target int) error {
	names, err := sys.ListXattrs(source)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !c.wantXattr(name) {
			continue
		}
		value, err := sys.GetXattr(source, name)
		if errors.Is(err, unix.ENODATA) {
			continue // gone since it was listed
		}
		if err == nil {
			err = sys.SetXattr(target, name, value)
		}
		if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.E2BIG) {
			// The data counts for more than its attributes.
			c.stats.Lost++
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// HasXattrs reports whether the file that has is open on has all extended
// attributes, ACLs among them, of the file that of is open on: those that Copy
// copies with SetID. It may have others: what a file system cannot keep is
// missing in a copy, and nobody has taken it away.
func HasXattrs(has, of int) (bool, error) {
	c := copier{options: Options{SetID: true}}
	names, err := sys.ListXattrs(of)
	for _, name := range names {
		if !c.wantXattr(name) {
			continue
		}
		var value, other []byte
		if value, err = sys.GetXattr(of, name); err == nil {
			other, err = sys.GetXattr(has, name)
		}
		if errors.Is(err, unix.ENODATA) {
			return false, nil
		}
		if err != nil || string(value) != string(other) {
			return false, err
		}
	}
	return err == nil, err
}

// copyNodeXattrs copies the attributes of what is not opened: links, FIFOs,
// devices. They can have security.* and trusted.* only (xattr(7)), and rarely
// do; without them they are as good.
func (c *copier) copyNodeXattrs(f *frame, name string) {
	from := sys.DescriptorPath(f.source) + "/" + name
	to := sys.DescriptorPath(f.target) + "/" + name
	list := make([]byte, 1024)
	n, err := unix.Llistxattr(from, list)
	if err != nil || n == 0 {
		return
	}
	value := make([]byte, 4096)
	for attribute := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if !c.wantXattr(attribute) {
			continue
		}
		n, err := unix.Lgetxattr(from, attribute, value)
		if err == nil {
			err = unix.Lsetxattr(to, attribute, value[:n], 0)
		}
		if err != nil {
			c.stats.Lost++
		}
	}
}

// setFileTimes needs Linux 5.8 for AT_EMPTY_PATH, and /proc before that.
func setFileTimes(fd int, status *sys.Status) error {
	err := sys.Retry(func() error { return unix.UtimesNanoAt(fd, "", times(status), unix.AT_EMPTY_PATH) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		err = sys.Retry(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, sys.DescriptorPath(fd), times(status), 0) })
	}
	if err != nil {
		return format.Errorf("set times: %w", err)
	}
	return nil
}

func setTimes(dirFd int, name string, status *sys.Status) error {
	err := sys.Retry(func() error { return unix.UtimesNanoAt(dirFd, name, times(status), unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return format.Errorf("set times: %w", err)
	}
	return nil
}

func times(status *sys.Status) []unix.Timespec {
	return []unix.Timespec{
		{Sec: status.Atime.Sec, Nsec: int64(status.Atime.Nsec)},
		{Sec: status.Mtime.Sec, Nsec: int64(status.Mtime.Nsec)},
	}
}
