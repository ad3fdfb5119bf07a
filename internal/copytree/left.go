package copytree

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
)

// leftXattr notes on a directory or file the number of the archived root that has
// data for it: it was made empty, or is being filled and not whole yet. Only root
// can read and write attributes of this class (xattr(7)).
const leftXattr = "trusted.ebb.left"

// UnfinishedXattr marks a directory that is a copy without its name. What is in it
// may be removed, see [Options].Mark.
const UnfinishedXattr = "trusted.ebb.unfinished"

// ReadLeft returns the number that is noted on what fd is open on (O_PATH will
// do), 0 when there is none or nobody can tell.
func ReadLeft(fd int) uint64 {
	text, _ := sys.GetXattr(fd, leftXattr)
	number, _ := strconv.ParseUint(string(text), 10, 64)
	return number
}

// WriteLeft notes the number; 0 takes the note off what fd is open on, which then
// is no O_PATH descriptor.
func WriteLeft(fd int, number uint64) error {
	if number == 0 {
		return sys.RemoveXattr(fd, leftXattr)
	}
	return sys.SetXattr(fd, leftXattr, strconv.AppendUint(nil, number, 10))
}

// Fill gives what to is open on all that belongs to what from is open on, which
// status describes: owner, mode, times and attributes, and of a regular file the
// data. A file has to be empty, and open for writing, and is empty again after an
// error; a directory keeps what is in it.
func Fill(from, to int, status *sys.Status, o Options) (Stats, error) {
	c := newCopier(o)
	c.mount, c.stats.Files = status.MountID, 1
	if status.IsDirectory() {
		return c.stats, c.copyMetadata(from, to, status)
	}
	err := c.fillFile(from, to, status)
	if err != nil {
		_ = unix.Ftruncate(to, 0) // worst case: the note says that it is half
	}
	return c.stats, err
}
