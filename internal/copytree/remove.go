package copytree

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// Remove removes name from the directory dirFd, with all that is below it.
// Links are removed and not followed; a mount or a btrfs subvolume with
// something in it ends the removal with an error. Nothing of that name is not
// an error.
func Remove(dirFd int, name string) error { return remove(dirFd, name, false) }

// RemoveUnfinished does the same to what [Copy] has left that was interrupted, if
// it was told to mark it. Of a directory without the mark it removes nothing: in a
// directory of theirs users can give one of root's any name.
func RemoveUnfinished(dirFd int, name string) error { return remove(dirFd, name, true) }

func remove(dirFd int, name string, unfinished bool) error {
	err := sys.Remove(dirFd, name)
	if !isNotEmpty(err) {
		return err
	}
	top, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	if unfinished {
		if _, err := sys.GetXattr(top, UnfinishedXattr); err != nil {
			unix.Close(top)
			return format.Errorf("%s was not left by ebb, remove it: %w", strconv.Quote(name), err)
		}
	}
	return removeOpen(top, dirFd, name)
}

// isNotEmpty reports whether rmdir(2) failed because there is something in the
// directory.
func isNotEmpty(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
}

// removeOpen empties the directory that top is open on, closes it, and removes
// name, which ought to be it, from dirFd.
func removeOpen(top, dirFd int, name string) error {
	defer unix.Close(top)
	w := walk.Walk{
		Visit: func(w *walk.Walk, name string, _ uint8) (enter bool, mark uint64, err error) {
			err = sys.Remove(w.Fd(), name)
			if isNotEmpty(err) {
				return true, 0, nil
			}
			return false, 0, err
		},
		Leave: func(w *walk.Walk, name string) error { return sys.Remove(w.Fd(), name) },
	}
	if err := w.Tree(top, 0); err != nil {
		return format.Errorf("remove %q: %w", name, err)
	}
	return sys.Remove(dirFd, name)
}
