package copytree

import (
	"bytes"
	"errors"

	"github.com/ebb-nix/ebb/internal/format"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
)

// Differences are the paths that two trees do not agree about.
type Differences struct {
	Changed uint64 `json:"changed"` // in both, with other contents, owner or mode
	Only    uint64 `json:"only"`    // in the source only
	Gone    uint64 `json:"gone"`    // in the copy only
	Bytes   uint64 `json:"bytes"`   // size of the changed files, as the source has them

	// Paths are the first of them, below the trees; "." for the tree itself.
	Paths []string `json:"paths"`
}

// mostPaths bounds the paths that are remembered.
const mostPaths = 50

// Any reports whether there is a difference.
func (d *Differences) Any() bool { return d.Changed+d.Only+d.Gone > 0 }

// Update brings the directory that to is open on, an earlier copy of the
// directory from, up to date, and says what had to be done. Like a copy that is
// under way, to has to be root's alone.
func Update(from, to int, o Options) (Differences, Stats, error) { return second(from, to, o, false) }

// Compare says in what the directories, or regular files, that from and to are
// open on differ, and changes nothing. What a copy leaves out is no difference,
// nor are the times of directories.
func Compare(from, to int, o Options) (Differences, error) {
	d, _, err := second(from, to, o, true)
	return d, err
}

func second(from, to int, o Options, dry bool) (Differences, Stats, error) {
	c := newCopier(o)
	c.second, c.dry = true, dry
	err := c.secondTop(from, to)
	if err != nil {
		err = format.Errorf("compare with the copy: %w", err)
	}
	return c.differences, c.stats, err
}

func (c *copier) secondTop(from, to int) error {
	status, err := sys.Stat(from)
	if err != nil {
		return err
	}
	c.mount = status.MountID
	if status.IsDirectory() {
		source, err := openSourceDirectory(from)
		if err != nil {
			return err
		}
		c.top = to
		return c.copyTree(source, &status)
	}
	there, err := sys.Stat(to)
	if err != nil {
		return err
	}
	if same, err := c.sameFile(from, to, &status, &there); err != nil || same {
		return err
	}
	c.note(".", &c.differences.Changed)
	return nil
}

// note counts a difference.
func (c *copier) note(path string, count *uint64) {
	*count++
	if len(c.differences.Paths) < mostPaths {
		c.differences.Paths = append(c.differences.Paths, path)
	}
}

// differs counts a name that the copy does not have, or has as something else:
// err tells.
func (c *copier) differs(name string, err error) {
	count := &c.differences.Changed
	if errors.Is(err, unix.ENOENT) {
		count = &c.differences.Only
	}
	c.note(c.path(name), count)
}

// dropGone removes from the copy what the source does not have any more.
func (c *copier) dropGone(f *frame) error {
	return eachName(f.target, c.entries, func(name string) error {
		_, err := sys.StatComponent(f.source, name)
		if !errors.Is(err, unix.ENOENT) {
			return err
		}
		c.note(c.path(name), &c.differences.Gone)
		if c.dry {
			return nil
		}
		return Remove(f.target, name)
	})
}

// compareDirectory looks at owner and mode of a directory.
func (c *copier) compareDirectory(f *frame) {
	if !sameOwner(&f.sourceStatus, &f.targetStatus) || f.sourceStatus.Permissions() != f.targetStatus.Permissions() {
		path := "."
		if len(c.frames) > 1 {
			path = c.path("")
		}
		c.note(path, &c.differences.Changed)
	}
}

// again looks whether the copy has the same under this name. If not, what is
// there goes, unless it is a comparison.
func (c *copier) again(f *frame, name string, status *sys.Status) (bool, error) {
	if status.Type() == unix.S_IFSOCK || !c.options.Devices && (status.Type() == unix.S_IFCHR || status.Type() == unix.S_IFBLK) {
		return true, nil
	}
	there, err := sys.StatComponent(f.target, name)
	if err == nil {
		same, sameErr := c.sameNode(f, name, status, &there)
		if sameErr != nil {
			return false, sameErr
		}
		if same {
			if status.Nlink > 1 && !c.dry {
				c.links[inode{status.Device, status.Inode}] = c.path(name)
			}
			return true, nil
		}
	} else if !errors.Is(err, unix.ENOENT) {
		return false, err
	}
	c.differs(name, err)
	c.differences.Bytes += status.Size
	if c.dry || err != nil {
		return false, nil
	}
	return false, Remove(f.target, name)
}

func sameOwner(a, b *sys.Status) bool { return a.UID == b.UID && a.GID == b.GID }

func (c *copier) sameNode(f *frame, name string, a, b *sys.Status) (bool, error) {
	if a.Type() != b.Type() || !sameOwner(a, b) {
		return false, nil
	}
	switch a.Type() {
	case unix.S_IFLNK:
		// One that is gone by now leads nowhere, and is found out next time.
		from, errA := sys.ReadSymlink(f.source, name)
		to, errB := sys.ReadSymlink(f.target, name)
		return errA == nil && errB == nil && from == to, nil
	case unix.S_IFREG:
		return c.sameRegular(f, name, a, b)
	}
	return a.Permissions() == b.Permissions() && a.Rdev == b.Rdev, nil
}

func (c *copier) sameRegular(f *frame, name string, a, b *sys.Status) (bool, error) {
	// Of a file with two names the copy has to have two names, too.
	if first, found := c.links[inode{a.Device, a.Inode}]; found {
		linked, err := c.isLinked(first, b)
		if err != nil || !linked {
			return false, err
		}
	}
	if a.MountID != c.mount {
		return true, nil
	}
	source, err := sys.OpenComponent(f.source, name, unix.O_PATH)
	if err != nil {
		return false, nil // gone: the copy of it will find out
	}
	defer unix.Close(source)
	target, err := sys.OpenComponent(f.target, name, unix.O_PATH)
	if err != nil {
		return false, err
	}
	defer unix.Close(target)
	return c.sameFile(source, target, a, b)
}

func (c *copier) isLinked(first string, status *sys.Status) (bool, error) {
	fd, err := sys.OpenBeneath(c.top, first, unix.O_PATH)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	there, err := sys.Stat(fd)
	return err == nil && there.SameInode(status), err
}

// sameFile compares two regular files that are open. In an update, one that was
// touched and still has the same contents gets its attributes anew.
func (c *copier) sameFile(source, target int, a, b *sys.Status) (bool, error) {
	mode := a.Permissions()
	if !c.options.SetID {
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	if !b.IsRegular() || !sameOwner(a, b) || mode != b.Permissions() || a.Size != b.Size || a.Mtime != b.Mtime && !c.dry {
		return false, nil
	}
	if a.Ctime.Sec < c.options.Since && a.Mtime == b.Mtime {
		return true, nil
	}
	from, err := openRegular(source)
	if err != nil {
		return false, err
	}
	defer unix.Close(from)
	to, err := openRegular(target)
	if err != nil {
		return false, err
	}
	defer unix.Close(to)
	same, err := c.sameContents(from, to, int64(a.Size))
	if err != nil || !same || c.dry {
		return same, err
	}
	return true, c.copyMetadata(from, to, a)
}

func openRegular(path int) (int, error) {
	status, err := sys.Stat(path)
	if err != nil {
		return -1, err
	}
	if !status.IsRegular() {
		return -1, format.Errorf("became a %s while it was compared", status.TypeName())
	}
	return sys.Reopen(path, unix.O_RDONLY|unix.O_NONBLOCK)
}

// sameContents compares two files of the same size. Holes that both have are left
// out: a file of nothing else may be as large as the file system takes.
func (c *copier) sameContents(from, to int, size int64) (bool, error) {
	other := make([]byte, len(c.buffer))
	for offset := int64(0); ; {
		if err := c.check(); err != nil {
			return false, err
		}
		data, _, err := nextData(from, offset, size)
		if err != nil {
			return false, err
		}
		otherData, _, err := nextData(to, offset, size)
		if err != nil {
			return false, err
		}
		offset = min(data, otherData)
		n, err := sys.ReadAt(from, c.buffer, offset)
		if err != nil {
			return false, err
		}
		m, err := sys.ReadAt(to, other[:max(n, 1)], offset)
		if err != nil || m != n || !bytes.Equal(c.buffer[:n], other[:n]) {
			return false, err
		}
		if n == 0 {
			return true, nil
		}
		offset += int64(n)
	}
}
