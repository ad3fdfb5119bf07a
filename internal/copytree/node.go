package copytree

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// copyNode copies what is not a directory.
func (c *copier) copyNode(f *frame, name string, status *sys.Status) error {
	if c.second && !f.fresh {
		if same, err := c.again(f, name, status); err != nil || same || c.dry {
			return err
		}
	}
	linked, err := c.linkAgain(f, name, status)
	if err != nil || linked {
		return err
	}
	switch status.Type() {
	case unix.S_IFREG:
		err = c.copyFile(f, name, status)
	case unix.S_IFLNK:
		err = c.copySymlink(f, name, status)
	case unix.S_IFIFO:
		err = c.copySpecial(f, name, status)
	case unix.S_IFCHR, unix.S_IFBLK:
		if !c.options.Devices {
			c.stats.Skipped++
			return nil
		}
		err = c.copySpecial(f, name, status)
	default:
		c.stats.Skipped++
		return nil
	}
	if errors.Is(err, ErrTooLarge) {
		return err // whatever file it was that made it so
	}
	if err != nil {
		return format.Errorf("%q: %w", name, err)
	}
	if status.Nlink > 1 {
		c.links[inode{status.Device, status.Inode}] = c.path(name)
	}
	return nil
}

// linkAgain gives the copy of a file that has another name already this one,
// too. The copy is root's alone, so the path to the first name can be trusted.
func (c *copier) linkAgain(f *frame, name string, status *sys.Status) (bool, error) {
	if status.Nlink < 2 {
		return false, nil
	}
	first, found := c.links[inode{status.Device, status.Inode}]
	if !found {
		return false, nil
	}
	if err := c.count(); err != nil {
		return false, err
	}
	dir, oldName := ".", first
	if i := strings.LastIndexByte(first, '/'); i >= 0 {
		dir, oldName = first[:i], first[i+1:]
	}
	dirFd, err := sys.OpenBeneath(c.top, dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer unix.Close(dirFd)
	if err := sys.Retry(func() error { return unix.Linkat(dirFd, oldName, f.target, name, 0) }); err != nil {
		return false, format.Errorf("link %q to %q: %w", name, first, err)
	}
	return true, nil
}

func (c *copier) copyFile(f *frame, name string, status *sys.Status) error {
	if err := c.count(); err != nil {
		return err
	}
	source, err := openSourceFile(f.source, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(source)
	opened, err := sys.Stat(source)
	if err != nil {
		return err
	}
	if !opened.IsRegular() {
		return format.Errorf("became a %s while it was copied", opened.TypeName())
	}
	*status = opened
	target, err := sys.CreateComponent(f.target, name, unix.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = c.fillFile(source, target, &opened)
	return errors.Join(err, sys.Close(target))
}

// openSourceFile opens a file for reading. O_NONBLOCK is for the FIFO that it
// may have become since it was looked at.
func openSourceFile(dirFd int, name string) (int, error) {
	fd, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) {
		return sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_NONBLOCK)
	}
	return fd, err
}

// fillFile gives the new file target data and attributes. The inside of a
// mounted file is not copied.
func (c *copier) fillFile(source, target int, status *sys.Status) error {
	c.copyFlags(source, target)
	if status.MountID != c.mount {
		c.stats.Skipped++
	} else if err := c.copyData(source, target, int64(status.Size)); err != nil {
		return err
	}
	return c.copyMetadata(source, target, status)
}

// copyFlags takes over FS_NOCOW_FL, which btrfs accepts for empty files only,
// and without which it does not share data with a file that has it. Other file
// systems do not know it: then it is not there to be copied, either.
func (c *copier) copyFlags(source, target int) {
	if flags, err := sys.InodeFlags(source); err == nil && flags&sys.NoCOW != 0 {
		// The worst case is a copy with copy-on-write.
		_ = sys.AddInodeFlags(target, sys.NoCOW)
	}
}

func (c *copier) copySymlink(f *frame, name string, status *sys.Status) error {
	if err := c.count(); err != nil {
		return err
	}
	leadsTo, err := sys.ReadSymlink(f.source, name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil // gone, or something else by now
	}
	if err != nil {
		return err
	}
	if err := sys.MakeSymlink(leadsTo, f.target, name); err != nil {
		return err
	}
	if err := c.ownNode(f, name, status); err != nil {
		return err
	}
	c.copyNodeXattrs(f, name)
	return setTimes(f.target, name, status)
}

// copySpecial makes a FIFO or a device node.
func (c *copier) copySpecial(f *frame, name string, status *sys.Status) error {
	if err := c.count(); err != nil {
		return err
	}
	mode := uint32(status.Type()) | 0o600
	if err := sys.Retry(func() error { return unix.Mknodat(f.target, name, mode, int(status.Rdev)) }); err != nil {
		return format.Errorf("mknod: %w", err)
	}
	if err := c.ownNode(f, name, status); err != nil {
		return err
	}
	// Not following links does not matter here: the directory is root's
	// alone, and fchmodat(2) could not do it before Linux 6.6.
	if err := sys.Retry(func() error { return unix.Fchmodat(f.target, name, status.Permissions(), 0) }); err != nil {
		return format.Errorf("chmod: %w", err)
	}
	c.copyNodeXattrs(f, name)
	return setTimes(f.target, name, status)
}

func (c *copier) ownNode(f *frame, name string, status *sys.Status) error {
	err := sys.Retry(func() error {
		return unix.Fchownat(f.target, name, int(status.UID), int(status.GID), unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return format.Errorf("chown: %w", err)
	}
	return nil
}
