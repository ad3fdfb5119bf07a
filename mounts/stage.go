package mounts

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// stagedName is what something has in its staging directory.
const stagedName = "new"

// stage has something made in a directory of root's alone beside its place, and
// gives it its name in one step when it is whole. A run that is killed in
// between leaves nothing under that name that a later one would take for what
// somebody has wanted so: a home directory that is still root's, or half of a
// copy. Whatever it leaves is root's and has one name in it, by which the later one
// knows it.
func stage(t *trail, name string, create func(t *trail, name string) (int, error)) (int, error) {
	directory := sys.TemporaryName(name)
	dir, err := openStage(t.fd(), directory)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd, err := create(&trail{base: dir}, stagedName)
	if err == nil {
		if err = sys.RenameNoReplace(dir, stagedName, t.fd(), name); err == nil {
			if _, err = sameName(t.fd(), name, fd); err != nil {
				err = format.Errorf("%q was exchanged while it was made: %w", name, err)
			}
		}
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		// By its descriptor: users may have given its name to another one of root's.
		return -1, errors.Join(err, copytree.Remove(dir, stagedName), sys.Remove(t.fd(), directory))
	}
	// Worst case: an empty directory of root's stays there.
	_ = sys.Remove(t.fd(), directory)
	return fd, nil
}

// openStage makes the staging directory. In a directory that others can write
// to they may have exchanged it.
func openStage(dir int, name string) (int, error) {
	if err := sys.MakeDirectory(dir, name, 0o700); err != nil {
		return -1, err
	}
	fd, err := sys.OpenComponent(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, errors.Join(err, sys.Remove(dir, name))
	}
	if err := sys.CheckFresh(fd); err != nil {
		unix.Close(fd)
		return -1, errors.Join(err, sys.Remove(dir, name)) // if it is empty
	}
	sys.DropACLs(fd)
	return fd, nil
}

// isOneStep reports whether one system call makes a directory or a file with
// these attributes where the trail is.
func isOneStep(t *trail, as attributes) bool {
	parent, known := t.status(t.depth())
	return known && mkdirSuffices(&parent, as)
}

// removeStale removes what a killed run has left of staging name where the
// trail is. It is root's; somebody else's is not touched.
func (p *placing) removeStale(t *trail, name string) error {
	directory := sys.TemporaryName(name)
	status, err := sys.StatComponent(t.fd(), directory)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	path := t.prefix + t.path() + "/" + directory
	if status.UID != 0 {
		return &Refusal{
			Path: path, Is: status.TypeName(), UID: status.UID, Want: "free name for a copy",
			Hint: "remove it",
		}
	}
	if err := onlyStaged(t.fd(), directory, &status); err != nil {
		return format.Errorf("%s was not left by ebb, remove it: %w", quotePath(path), err)
	}
	return p.act(Step{Verb: RemoveStale, Path: path}, func() error { return copytree.Remove(t.fd(), directory) })
}

// onlyStaged makes sure that a directory has in it only what a run may have left
// there: in a directory of his a user can give another one of root's that name.
func onlyStaged(dirFd int, name string, status *sys.Status) error {
	if !status.IsDirectory() {
		return nil
	}
	fd, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	names, err := sys.ReadNames(fd)
	if err == nil && (len(names) > 1 || len(names) == 1 && names[0] != stagedName) {
		err = unix.ENOTEMPTY
	}
	return err
}
