package initrd

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// makeArchive makes the archive's directory and those above it, for root only:
// old roots hold setuid programs and everybody's secrets.
func (x *executor) makeArchive() error {
	dir := x.top
	for name := range strings.SplitSeq(x.root.Archive, "/") {
		if err := sys.MakeDirectory(dir, name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return format.Errorf("make archive %q: %w", x.root.Archive, err)
		}
		next, err := sys.OpenComponent(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if dir != x.top {
			unix.Close(dir)
		}
		if err != nil {
			return format.Errorf("make archive %q: %w", x.root.Archive, err)
		}
		dir = next
	}
	x.archive = dir
	return lockArchive(dir, x.root.Archive)
}

// openArchive opens the archive and locks it, if it is there.
func (x *executor) openArchive() (isThere bool, err error) {
	x.archive, err = guardArchive(x.top, x.root.Archive)
	return x.archive >= 0, err
}

// protect takes everybody else's permissions off the archive.
func (x *executor) protect() error {
	if err := sys.ChangeMode(x.archive, 0o700); err != nil {
		return format.Errorf("archive %q: %w", x.root.Archive, err)
	}
	return nil
}

func (x *executor) drop(s *Step) error {
	if err := sys.MakeDirectory(x.archive, archive.Trash, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	trash, err := sys.OpenComponent(x.archive, archive.Trash, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(trash)
	return sys.RenameNoReplace(x.archive, archive.Next, trash, archive.DirectoryName(s.Number))
}

// unstage removes the staging directory. It holds meta.json at most: rmdir(2)
// fails with ENOTEMPTY when anything else is in it.
func (x *executor) unstage() error {
	if err := x.openNext(); err != nil {
		return err
	}
	for _, name := range []string{archive.Meta, sys.TemporaryName(archive.Meta)} {
		if err := sys.Remove(x.next, name); err != nil {
			return err
		}
	}
	x.closeNext()
	return sys.Remove(x.archive, archive.Next)
}

func (x *executor) openNext() error {
	if x.next >= 0 {
		return nil
	}
	fd, err := sys.OpenComponent(x.archive, archive.Next, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	x.next = fd
	return nil
}

func (x *executor) closeNext() {
	unix.Close(x.next)
	x.next = -1
}
