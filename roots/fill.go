package roots

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// openEmpty opens what is at the target, for writing, if it is of the same type
// as what was found and has nothing in it but what an interrupted run has left of
// the very same. Else the descriptor is negative.
//
// It is filled rather than replaced: it may be mounted, and a mount does not
// follow a rename.
func openEmpty(f *found, parent int, name, temporary string) (int, error) {
	there, err := sys.StatComponent(parent, name)
	if err != nil || there.Type() != f.status.Type() || there.IsRegular() && there.Size > 0 {
		return -1, nil // whatever else it is, others tell
	}
	flags := unix.O_RDWR | unix.O_NONBLOCK
	if there.IsDirectory() {
		flags = unix.O_RDONLY | unix.O_DIRECTORY
	}
	fd, err := sys.OpenComponent(parent, name, flags)
	if err != nil {
		return -1, err
	}
	if err := mayFill(f, fd, &there); err != nil {
		unix.Close(fd)
		return -1, format.Errorf("%q: %w", name, err)
	}
	if there.IsRegular() {
		return fd, nil
	}
	names, err := sys.ReadNames(fd)
	if err == nil && (len(names) == 0 || len(names) == 1 && names[0] == temporary) {
		return fd, nil
	}
	if whole := openWhole(fd, temporary, f.number); whole >= 0 {
		unix.Close(whole)
		return fd, nil
	}
	unix.Close(fd)
	return -1, err
}

// mayFill looks at what was opened: in a directory of theirs users can exchange what
// is to be filled for something else. A file of theirs they may have open, and read
// what it is filled with, whosever that was.
func mayFill(f *found, fd int, there *sys.Status) error {
	now, err := sys.Stat(fd)
	switch {
	case err != nil:
		return err
	case !now.SameInode(there) || now.IsRegular() && (now.Size > 0 || now.Nlink > 1):
		return errors.New("it is not the empty file that it was, or has another name")
	case now.IsRegular() && now.UID != 0 && now.UID != f.status.UID:
		return format.Errorf("it belongs to user %d, what is brought back to %d: remove it, or use --to DIR", now.UID, f.status.UID)
	}
	return nil
}

// openWhole opens a copy that an interrupted run has left, if it is whole: then
// some of what was in it has been moved up. Else the descriptor is negative.
func openWhole(dir int, temporary string, number uint64) int {
	fd, err := sys.OpenComponent(dir, temporary, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil && copytree.ReadLeft(fd) != number {
		unix.Close(fd)
		return -1
	}
	return fd
}

// begin notes that what fd is open on is not whole until the note is taken off.
// Where the file system takes none, the worst case is a power cut in between,
// which leaves a half.
func begin(fd int, number uint64) error {
	if err := copytree.WriteLeft(fd, number); err != nil && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return sys.SyncFile(fd)
}

// fill gives the empty file to the data of from. To an empty directory it moves
// up what is in from, a copy in it that is durable.
func (f *found) fill(to, from int, temporary string, result *Restored, options copytree.Options) (err error) {
	directory := f.status.IsDirectory()
	if directory {
		err = begin(from, f.number)
	}
	if err == nil {
		err = begin(to, f.number)
	}
	if err != nil {
		return err
	}
	// A directory gets its owner and mode before anything is in it that was not to
	// be seen by whose it is now.
	sys.DropACLs(to)
	stats, err := copytree.Fill(from, to, &f.status, options)
	if err == nil && directory {
		err = moveUp(to, from, temporary)
	}
	if err == nil {
		err = sys.SyncFilesystem(to)
	}
	if err == nil && directory {
		// By this directory an interrupted run is known. The times are set again.
		if err = sys.Remove(to, temporary); err == nil {
			_, err = copytree.Fill(from, to, &f.status, options)
		}
	} else if !directory {
		result.Stats = stats
	}
	if err == nil && copytree.ReadLeft(to) != 0 {
		err = copytree.WriteLeft(to, 0)
	}
	if err == nil {
		err = sys.SyncFile(to)
	}
	return err
}

func moveUp(to, from int, temporary string) error {
	// A directory of btrfs lists what was in it when it was opened.
	list, err := sys.ReopenDirectory(from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	names, err := sys.ReadNames(list)
	unix.Close(list)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := sys.RenameNoReplace(from, name, to, name); err != nil {
			return format.Errorf("%w: the rest is in %q, and comes when it is run again", err, temporary)
		}
	}
	return nil
}
