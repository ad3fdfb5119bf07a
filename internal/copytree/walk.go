package copytree

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// framesOpen is how many directories of each side are kept open at most. One
// that was closed is opened again through ".." of the directory below, and has
// to be the inode that it was.
const framesOpen = 16

// frame is a directory that is being copied.
type frame struct {
	name           string
	source, target int // -1 when closed to save descriptors
	sourceStatus   sys.Status
	targetStatus   sys.Status // only the inode matters
	below          []string   // directories in it that are still to be copied
	fresh          bool       // of a second copy: this directory is new in it
}

// copyTree copies the directory that source is open on to c.top.
func (c *copier) copyTree(source int, status *sys.Status) error {
	defer c.closeFrames()
	// The caller keeps c.top; the frame has its own descriptor.
	target, err := sys.ReopenDirectory(c.top, unix.O_RDONLY)
	if err != nil {
		unix.Close(source)
		return err
	}
	if err := c.push(frame{source: source, target: target, sourceStatus: *status}); err != nil {
		return err
	}
	for len(c.frames) > 0 {
		top := &c.frames[len(c.frames)-1]
		if len(top.below) == 0 {
			if err := c.pop(); err != nil {
				return err
			}
			continue
		}
		name := top.below[len(top.below)-1]
		top.below = top.below[:len(top.below)-1]
		if err := c.descend(top, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) closeFrames() {
	for i := range c.frames {
		c.frames[i].close()
	}
	c.frames = nil
}

func (f *frame) close() {
	if f.source >= 0 {
		unix.Close(f.source)
		unix.Close(f.target)
		f.source, f.target = -1, -1
	}
}

// push copies everything in the directory but directories, and leaves those
// for later.
func (c *copier) push(f frame) error {
	c.frames = append(c.frames, f)
	top := &c.frames[len(c.frames)-1]
	var err error
	if top.targetStatus, err = sys.Stat(top.target); err != nil {
		return err
	}
	if closed := len(c.frames) - 1 - framesOpen; closed >= 0 {
		c.frames[closed].close()
	}
	return c.copyNames(top)
}

// pop gives the directory its attributes, now that nothing is added to it any
// more, and goes back up.
func (c *copier) pop() error {
	last := len(c.frames) - 1
	f := &c.frames[last]
	if last > 0 {
		if err := c.frames[last-1].reopen(f); err != nil {
			return err
		}
	}
	var err error
	if c.second && !f.fresh {
		c.compareDirectory(f)
	}
	if !c.dry {
		err = c.copyMetadata(f.source, f.target, &f.sourceStatus)
	}
	f.close()
	c.frames = c.frames[:last]
	return err
}

// reopen opens both directories of the frame again from the one below.
func (f *frame) reopen(below *frame) (err error) {
	if f.source >= 0 {
		return nil
	}
	source, err := openParent(below.source, &f.sourceStatus)
	if err != nil {
		return err
	}
	target, err := openParent(below.target, &f.targetStatus)
	if err != nil {
		unix.Close(source)
		return err
	}
	f.source, f.target = source, target
	return nil
}

// openParent opens "..", and makes sure that it is what the walk came from:
// the directory may have been moved elsewhere meanwhile.
func openParent(fd int, want *sys.Status) (int, error) {
	parent, err := sys.OpenParent(fd)
	if err != nil {
		return -1, err
	}
	status, err := sys.Stat(parent)
	if err == nil && !status.SameInode(want) {
		err = errors.New("a directory was moved while it was copied")
	}
	if err != nil {
		unix.Close(parent)
		return -1, err
	}
	return parent, nil
}

// descend makes the copy of the directory name and goes into both.
func (c *copier) descend(f *frame, name string) error {
	path, err := sys.OpenComponent(f.source, name, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil // gone since it was listed
	}
	if err != nil {
		return err
	}
	defer unix.Close(path)
	status, err := sys.Stat(path)
	if err != nil {
		return err
	}
	if err := c.count(); err != nil {
		return err
	}
	target, fresh, err := c.targetDirectory(f, name)
	if err != nil || target < 0 {
		return err
	}
	source, err := openSourceDirectory(path)
	if err != nil {
		unix.Close(target)
		return err
	}
	next := frame{name: name, source: source, target: target, sourceStatus: status, fresh: fresh}
	if status.MountID != c.mount {
		c.stats.Skipped++
		if !c.dry {
			err = c.copyMetadata(source, target, &status)
		}
		next.close()
		return err
	}
	return c.push(next)
}

// targetDirectory makes the copy of a directory, or opens the one that an
// earlier copy has made. In a comparison it is negative where there is none.
func (c *copier) targetDirectory(f *frame, name string) (fd int, fresh bool, err error) {
	if c.second && !f.fresh {
		fd, err := sys.OpenComponent(f.target, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err == nil {
			return fd, false, nil
		}
		c.differs(name, err)
		if c.dry {
			return -1, false, nil
		}
		if err := Remove(f.target, name); err != nil {
			return -1, false, err
		}
	}
	if err := sys.MakeDirectory(f.target, name, 0o700); err != nil {
		return -1, true, err
	}
	fd, err = sys.OpenComponent(f.target, name, unix.O_RDONLY|unix.O_DIRECTORY)
	return fd, true, err
}

// openSourceDirectory opens a directory for reading without leaving a mark on
// its access time, where that is allowed (O_NOATIME, open(2)).
func openSourceDirectory(path int) (int, error) {
	fd, err := sys.ReopenDirectory(path, unix.O_RDONLY|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) {
		return sys.ReopenDirectory(path, unix.O_RDONLY)
	}
	return fd, err
}

// copyNames reads the directory of the frame and copies what is not a
// directory.
func (c *copier) copyNames(f *frame) error {
	if c.second && !f.fresh {
		if err := c.dropGone(f); err != nil {
			return err
		}
	}
	return eachName(f.source, c.entries, func(name string) error {
		status, err := sys.StatComponent(f.source, name)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return err
		}
		if status.IsDirectory() {
			// A directory full of directories is bounded, too.
			if limit := c.options.Limit.Files; limit > 0 && c.stats.Files+uint64(len(f.below)) >= limit {
				return format.Errorf("%w: more than %d files", ErrTooLarge, limit)
			}
			f.below = append(f.below, name)
			return nil
		}
		return c.copyNode(f, name, &status)
	})
}

// entriesSize is the size of a buffer for eachName, in bytes.
const entriesSize = 32 << 10

// eachName calls do for every name in the directory fd.
func eachName(fd int, entries []byte, do func(name string) error) error {
	if _, err := sys.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return err
	}
	for {
		n, err := unix.Getdents(fd, entries)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return format.Errorf("getdents: %w", err)
		}
		if n <= 0 {
			return nil
		}
		_, _, names := unix.ParseDirent(entries[:n], -1, nil)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
	}
}

// path returns where in the copy the frame on top is, as a relative path.
func (c *copier) path(name string) string {
	var b strings.Builder
	for i := 1; i < len(c.frames); i++ {
		b.WriteString(c.frames[i].name)
		b.WriteByte('/')
	}
	b.WriteString(name)
	return b.String()
}
