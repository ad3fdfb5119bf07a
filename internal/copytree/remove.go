package copytree

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Remove removes name from the directory dirFd, with all that is below it.
// Links are removed and not followed; a mount or a btrfs subvolume with
// something in it ends the removal with an error. Nothing of that name is not
// an error.
func Remove(dirFd int, name string) error {
	err := sys.Remove(dirFd, name)
	if !isNotEmpty(err) {
		return err
	}
	top, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
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
	r := &remover{entries: make([]byte, entriesSize)}
	if err := r.empty(top); err != nil {
		return format.Errorf("remove %q: %w", name, err)
	}
	return sys.Remove(dirFd, name)
}

// remover is one removal on its way. It goes down and up again with one
// descriptor; what it came from is known by the inode.
type remover struct {
	mount   uint64
	above   []removeFrame
	entries []byte
}

type removeFrame struct {
	status sys.Status
	name   string // of the directory that the walk went into from here
}

// empty removes everything below the directory fd, and closes it.
func (r *remover) empty(fd int) error {
	status, err := sys.Stat(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	r.mount = status.MountID
	for {
		below, err := removeNames(fd, r.entries)
		if err == nil && below != "" {
			fd, err = r.down(fd, below)
		} else if err == nil && len(r.above) == 0 {
			return unix.Close(fd)
		} else if err == nil {
			fd, err = r.up(fd)
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
	}
}

// removeNames removes names from the directory fd until it meets a directory
// that is not empty, and returns that one.
func removeNames(fd int, entries []byte) (below string, err error) {
	stop := errors.New("stop")
	err = eachName(fd, entries, func(name string) error {
		err := sys.Remove(fd, name)
		if isNotEmpty(err) {
			below = name
			return stop
		}
		return err
	})
	if errors.Is(err, stop) {
		err = nil
	}
	return below, err
}

// down goes into the directory name. On an error it returns the old
// descriptor, so that there is always one to close.
func (r *remover) down(fd int, name string) (int, error) {
	status, err := sys.Stat(fd)
	if err != nil {
		return fd, err
	}
	next, err := sys.OpenComponent(fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fd, err
	}
	nextStatus, err := sys.Stat(next)
	if err == nil && nextStatus.MountID != r.mount {
		err = format.Errorf("%q is a mount point", name)
	}
	unix.Close(fd)
	r.above = append(r.above, removeFrame{status: status, name: name})
	return next, err
}

// up goes back to the directory above and removes the one it comes from.
func (r *remover) up(fd int) (int, error) {
	last := r.above[len(r.above)-1]
	r.above = r.above[:len(r.above)-1]
	parent, err := openParent(fd, &last.status)
	if err != nil {
		return fd, err
	}
	unix.Close(fd)
	return parent, sys.Remove(parent, last.name)
}
