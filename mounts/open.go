package mounts

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Refusal is the error for something that is not what an entry needs, a link
// or a FIFO for example, and who owns it.
type Refusal struct {
	Path string
	Is   string // what it is: "symbolic link", "FIFO", ...
	UID  uint32
	Want string // what it ought to be
	Hint string // what to do about it, may be empty
}

// Error implements error.
func (r *Refusal) Error() string {
	text := format.Sprintf("%s is a %s owned by uid %d, not a %s", quotePath(r.Path), r.Is, r.UID, r.Want)
	if r.Hint != "" {
		text += ": " + r.Hint
	}
	return text
}

// openEntry opens name in the directory dirFd as a source or a target: O_PATH,
// so that the opening itself has no effect on a FIFO or a device, and not
// following a link. It accepts a directory or a regular file, whichever the
// entry says. An O_PATH descriptor of a link or a FIFO would be taken by
// open_tree(2) and move_mount(2), therefore nothing in this package mounts,
// copies or writes to a name that was opened in any other way.
//
// unsafePath is for messages only.
func openEntry(dirFd int, name, unsafePath string, directory bool) (int, sys.Status, error) {
	fd, err := sys.OpenComponent(dirFd, name, unix.O_PATH)
	if err != nil {
		return -1, sys.Status{}, err
	}
	status, err := sys.Stat(fd)
	if err == nil && !isKind(&status, directory) {
		err = &Refusal{Path: unsafePath, Is: status.TypeName(), UID: status.UID, Want: kindName(directory)}
	}
	if err != nil {
		unix.Close(fd)
		return -1, status, err
	}
	return fd, status, nil
}

func isKind(status *sys.Status, directory bool) bool {
	if directory {
		return status.IsDirectory()
	}
	return status.IsRegular()
}

func kindName(directory bool) string {
	if directory {
		return "directory"
	}
	return "regular file"
}
