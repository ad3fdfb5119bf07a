package copytree

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// copyData copies the first size bytes of source, holes as holes. A file that
// others are changing meanwhile comes out as a mixture; it cannot keep the
// copy from ending, because what it grows by is not looked at.
func (c *copier) copyData(source, target int, size int64) error {
	if size == 0 {
		return nil
	}
	shared, err := c.share(source, target)
	if err != nil {
		return err
	}
	if shared {
		c.stats.Shared += uint64(size)
		return nil
	}
	if err := sys.Retry(func() error { return unix.Ftruncate(target, size) }); err != nil {
		return format.Errorf("truncate: %w", err)
	}
	for offset := int64(0); offset < size; {
		start, end, err := nextData(source, offset, size)
		if err != nil {
			return err
		}
		if start < end {
			if err := c.copyRange(source, target, start, end); err != nil {
				return err
			}
		}
		offset = end
	}
	return nil
}

// share makes target share all data of source. Nothing is lost when it cannot:
// other file system (EXDEV), no support (EOPNOTSUPP, ENOTTY), other flags
// (EINVAL), a swap file (ETXTBSY).
func (c *copier) share(source, target int) (bool, error) {
	if c.cannot || c.options.NoSharing {
		return false, nil
	}
	err := sys.Retry(func() error { return unix.IoctlFileClone(target, source) })
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY):
		c.cannot = true
		return false, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ETXTBSY), errors.Is(err, unix.EPERM):
		return false, nil
	}
	return false, format.Errorf("FICLONE: %w", err)
}

// nextData returns the next range of data from offset on; where there is only
// a hole left it is empty, at size.
func nextData(fd int, offset, size int64) (start, end int64, err error) {
	start, err = sys.Seek(fd, offset, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil
	}
	if errors.Is(err, unix.EINVAL) {
		return offset, size, nil // a file system that knows nothing of holes
	}
	if err != nil {
		return 0, 0, format.Errorf("seek data: %w", err)
	}
	end, err = sys.Seek(fd, start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, format.Errorf("seek hole: %w", err)
	}
	return min(start, size), min(end, size), nil
}

// copyStep is how much is copied with one call, in bytes: the limit is looked
// at in between.
const copyStep = 16 << 20

func (c *copier) copyRange(source, target int, start, end int64) error {
	for start < end {
		want := min(end-start, copyStep)
		if err := c.spend(want); err != nil {
			return err
		}
		from, to := start, start
		n, err := unix.CopyFileRange(source, &from, target, &to, int(want), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			c.stats.Copied -= uint64(want)
			continue
		case err != nil:
			// EXDEV before Linux 5.3, EINVAL, EOPNOTSUPP, EIO of some network
			// file systems: reading and writing will tell.
			n, err = c.readAndWrite(source, target, start, int(want))
			if err != nil {
				return err
			}
		}
		c.stats.Copied -= uint64(want - int64(n))
		if n == 0 {
			return nil // it became shorter
		}
		start += int64(n)
	}
	return nil
}

// readAndWrite copies up to want bytes at offset, and says how many.
func (c *copier) readAndWrite(source, target int, offset int64, want int) (int, error) {
	buffer := c.buffer[:min(want, len(c.buffer))]
	n, err := sys.ReadAt(source, buffer, offset)
	if err != nil {
		return 0, err
	}
	for done := 0; done < n; {
		w, err := unix.Pwrite(target, buffer[done:n], offset+int64(done))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, format.Errorf("write: %w", err)
		}
		done += w
	}
	return n, nil
}
