package copytree

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// ErrTooLarge is the error of a copy that would go beyond its limit.
var ErrTooLarge = errors.New("too large")

// Limit bounds a copy. Zero means that there is no bound.
type Limit struct {
	Files  uint64 // of every type, directories included
	Copied uint64 // bytes that the file system cannot share
}

// Options of a copy.
type Options struct {
	Limit     Limit
	SetID     bool // keep the set-user-ID and set-group-ID bits of files, and file capabilities
	Devices   bool // copy device nodes; only sensible for a tree that was root's all along
	NoSharing bool // never share data
	Mark      bool // a directory gets [UnfinishedXattr], for [RemoveUnfinished]; it is the caller's to take off

	// Check is called again and again, with how far the copy has come. An error
	// of it ends the copy. It may be nil.
	Check func(*Stats) error
	// Since, of [Update] and [Compare]: the contents of files count that were
	// touched since then, in seconds of Unix time, by the time of the change of
	// their inode. Of others size, times, owner and mode say enough.
	Since int64
}

// Copy makes name in the directory toDir a copy of the directory or regular
// file that from is open on (O_PATH will do), and returns a descriptor of the
// copy. There must be nothing of that name.
//
// Copied are owner, mode, times (ns), extended attributes with ACLs, the flag
// FS_NOCOW_FL, holes, and hard links inside the tree. Symbolic links and FIFOs
// are copied as such, sockets are left out: nobody listens on a copy. Nested
// btrfs subvolumes become directories, and of mount points only the place
// itself is made.
//
// After an error, [ErrTooLarge] among them, nothing is left of the copy. The
// statistics then say how far it came.
func Copy(from, toDir int, name string, o Options) (int, Stats, error) {
	c := newCopier(o)
	fd, err := c.copyTop(from, toDir, name)
	if err != nil {
		return -1, c.stats, format.Errorf("copy: %w", err)
	}
	return fd, c.stats, nil
}

// Powers reports whether set-id programs and device nodes have any effect on the
// mount that fd lies in (ST_NOSUID, ST_NODEV of statfs(2)). What is copied from a
// mount that users may make themselves must not have more than it had there: a FUSE
// file system shows files of root's as it likes.
func Powers(fd int) (setID, devices bool) {
	const noSetID, noDevices = 0x2, 0x4
	var st unix.Statfs_t
	if sys.StatFilesystem(fd, &st) != nil {
		return false, false
	}
	return st.Flags&noSetID == 0, st.Flags&noDevices == 0
}

func newCopier(o Options) *copier {
	return &copier{options: o, links: map[inode]string{}, buffer: make([]byte, 64<<10), entries: make([]byte, entriesSize)}
}

// copier is one copy on its way.
type copier struct {
	options Options
	stats   Stats
	mount   uint64 // the mount that is copied; others are not entered
	top     int    // the copy of the top directory
	links   map[inode]string
	buffer  []byte // for data
	entries []byte // for directories
	cannot  bool   // the file systems cannot share data
	frames  []frame

	second      bool // there is a copy already, see Update
	dry         bool // nothing is changed
	differences Differences
}

// inode tells files apart that have more than one name.
type inode struct{ device, number uint64 }

func (c *copier) copyTop(from, toDir int, name string) (int, error) {
	status, err := sys.Stat(from)
	if err != nil {
		return -1, err
	}
	c.mount = status.MountID
	switch {
	case status.IsDirectory():
		return c.copyTopDirectory(from, &status, toDir, name)
	case status.IsRegular():
		return c.copyTopFile(from, &status, toDir, name)
	}
	return -1, format.Errorf("is a %s, neither a directory nor a regular file", status.TypeName())
}

func (c *copier) copyTopDirectory(from int, status *sys.Status, toDir int, name string) (int, error) {
	if err := c.count(); err != nil {
		return -1, err
	}
	source, err := openSourceDirectory(from)
	if err != nil {
		return -1, err
	}
	target, err := sys.MakeFresh(toDir, name)
	if err != nil {
		unix.Close(source)
		return -1, err
	}
	c.top = target
	if c.options.Mark {
		// Worst case: the file system takes none, and nothing of what is left is removed.
		_ = sys.SetXattr(target, UnfinishedXattr, nil)
	}
	if err := c.copyTree(source, status); err != nil {
		return -1, errors.Join(err, removeOpen(target, toDir, name))
	}
	return target, nil
}

func (c *copier) copyTopFile(from int, status *sys.Status, toDir int, name string) (int, error) {
	if err := c.count(); err != nil {
		return -1, err
	}
	source, err := sys.Reopen(from, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return -1, err
	}
	defer unix.Close(source)
	target, err := sys.CreateComponent(toDir, name, unix.O_RDWR, 0o600)
	if err != nil {
		return -1, err
	}
	sys.DropACLs(target)
	if err := c.fillFile(source, target, status); err != nil {
		unix.Close(target)
		return -1, errors.Join(err, sys.Remove(toDir, name))
	}
	return target, nil
}

// count counts one more file.
func (c *copier) count() error {
	if limit := c.options.Limit.Files; limit > 0 && c.stats.Files >= limit {
		return format.Errorf("%w: more than %d files", ErrTooLarge, limit)
	}
	c.stats.Files++
	return c.check()
}

func (c *copier) check() error {
	if c.options.Check == nil {
		return nil
	}
	return c.options.Check(&c.stats)
}

// spend counts bytes that are about to be copied.
func (c *copier) spend(bytes int64) error {
	limit := c.options.Limit.Copied
	if limit > 0 && c.stats.Copied+uint64(bytes) > limit {
		return format.Errorf("%w: more than %d bytes to copy", ErrTooLarge, limit)
	}
	c.stats.Copied += uint64(bytes)
	return c.check()
}
