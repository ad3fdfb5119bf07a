package roots

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Remover deletes archived roots: it moves one to the trash, and deletes what
// is in the trash, deepest subvolumes first and by id. Every subvolume needs a
// proof before: the one that an archived root is made of lies in the very
// directory of the archive that is open, and is the one that meta.json names;
// any other is inside of such a one. The kernel asks for nothing of that, it
// even deletes what is mounted.
//
// It can be killed at any time: what is left in the trash is deleted by the
// next run.
type Remover struct {
	// Protected are never deleted, nor anything that they lie in.
	Protected []Protected
	// Members are the names of what a rollback archives: "root" and those of
	// "also". A staged root without meta.json is known by them alone.
	Members []string
	// Announce is called before each change.
	Announce func(format string, arguments ...any)

	top     int    // the top-level subvolume, writable
	name    string // of the archive, below it
	archive int
	// parentID is the subvolume that the archive is a directory of.
	parentID uint64
	listing  btrfs.Listing
	// defaultID is the subvolume that is mounted without subvol=.
	defaultID uint64
}

// Protected is a path below the top-level subvolume that is in use: a
// subvolume, or a directory in one.
type Protected struct {
	Path string
	Why  string // "mounted on /mnt"
}

// RefusedError is returned for what may not be deleted. Nothing of it was.
type RefusedError struct {
	Path   string // below the top-level subvolume
	Reason string
}

func (e *RefusedError) Error() string { return format.Sprintf("%q stays: %s", e.Path, e.Reason) }

// Open begins the work in the archive name below topFd, and keeps every other
// ebb out of it. It fails with an error that matches [fs.ErrNotExist] where
// there is no archive.
func (r *Remover) Open(topFd int, name string) error {
	fd, err := archive.Open(topFd, name)
	if err != nil {
		return err
	}
	r.top, r.name, r.archive = topFd, name, fd
	st, err := sys.Stat(fd)
	if err == nil && st.UID != 0 {
		err = &RefusedError{name, format.Sprintf("the archive belongs to user %d", st.UID)}
	}
	if err == nil {
		if err = sys.Retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
			err = format.Errorf("lock archive %q: is another ebb at work? %w", name, err)
		}
	}
	if err == nil {
		err = r.readFileSystem()
	}
	if err != nil {
		r.Close()
	}
	return err
}

func (r *Remover) readFileSystem() error {
	around, err := btrfs.Info(r.archive)
	if err != nil {
		return err
	}
	r.parentID = around.ID
	if r.defaultID, err = btrfs.DefaultSubvolumeID(r.top); err != nil {
		return err
	}
	r.listing, err = btrfs.List(r.top)
	return err
}

// Close ends the work and lets others in.
func (r *Remover) Close() { unix.Close(r.archive) }

// Trash moves an archived root to the trash once everything in it is proven to
// be deletable. The move becomes durable with the next commit. Of a damaged
// one, whose meta.json cannot be read, only the names of the subvolumes tell
// that they are ebb's: that is for a person to decide, and to ask for.
//
// Where there is no room for the move it is deleted at once, see [Remover.trash].
func (r *Remover) Trash(number uint64, damaged bool) error {
	_, err := r.trash(number, damaged)
	return err
}

// trash is Trash, and returns the ids of the subvolumes that it has deleted. On a
// file system that is full nothing can be made nor renamed, while for deletions
// the kernel has a reserve (the global block reserve of btrfs): what is to make
// room must not fail for want of it. Worst case of a kill then: an archived root
// without some of its subvolumes, or with none, which another deletion takes away.
func (r *Remover) trash(number uint64, damaged bool) (deleted []uint64, err error) {
	dir, err := openRoot(r.archive, number)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	entry := archive.DirectoryName(number)
	where := path.Join(r.name, entry)
	if pin := readPin(dir); pin != nil { // since it was judged, perhaps: that takes no lock
		return nil, &RefusedError{where, format.Sprintf("it is pinned (%s)", pin.Why)}
	}
	if _, err := r.prove(dir, where, damaged); err != nil {
		return nil, err
	}
	err = r.moveToTrash(entry, where)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return r.removeFrom(r.archive, entry, where, damaged)
	}
	return nil, err
}

func (r *Remover) moveToTrash(entry, where string) error {
	trash, err := r.openTrash(true)
	if err != nil {
		return err
	}
	defer unix.Close(trash)
	r.Announce("moving %q to %q", where, path.Join(r.name, archive.Trash, entry))
	return sys.RenameNoReplace(r.archive, entry, trash, entry)
}

// EmptyTrash deletes everything in the trash that may be deleted, and returns
// the ids of the deleted subvolumes, whose space the kernel frees after the
// next commit; see [btrfs.WaitCleaned]. What may not be deleted, or cannot,
// stays, and is in the error; the rest is deleted all the same.
func (r *Remover) EmptyTrash() (ids []uint64, err error) {
	trash, err := r.openTrash(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(trash)
	names, err := archive.Names(trash)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, name := range names {
		deleted, err := r.removeTrashed(trash, name)
		ids, failed = append(ids, deleted...), append(failed, err)
	}
	return ids, errors.Join(failed...)
}

func (r *Remover) openTrash(create bool) (int, error) {
	if create {
		if err := sys.MakeDirectory(r.archive, archive.Trash, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return -1, err
		}
	}
	return sys.OpenComponent(r.archive, archive.Trash, unix.O_RDONLY|unix.O_DIRECTORY)
}

// removeTrashed deletes one directory in the trash.
func (r *Remover) removeTrashed(trash int, name string) (ids []uint64, err error) {
	where := path.Join(r.name, archive.Trash, name)
	if _, ok := archive.ParseDirectoryName(name); !ok {
		return nil, &RefusedError{where, "it was not put there by ebb"}
	}
	return r.removeFrom(trash, name, where, true)
}

// removeFrom deletes the directory of an archived root, name in parent.
func (r *Remover) removeFrom(parent int, name, where string, damaged bool) (ids []uint64, err error) {
	dir, err := sys.OpenComponent(parent, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	order, err := r.prove(dir, where, damaged)
	if err != nil {
		return nil, err
	}
	for _, s := range order {
		if err := r.remove(dir, s); err != nil {
			return ids, err
		}
		ids = append(ids, s.ID)
	}
	for _, file := range ownFiles() {
		if err := sys.Remove(dir, file); err != nil {
			return ids, err
		}
	}
	return ids, sys.Remove(parent, name)
}

// ownFiles are the files that ebb makes beside the subvolumes. What tells
// which subvolumes may be deleted goes last.
func ownFiles() []string {
	return []string{pinName, sys.TemporaryName(pinName), sys.TemporaryName(archive.Meta), archive.Meta}
}

// remove deletes one subvolume. dirFd is the directory of the archived root
// that it is in.
func (r *Remover) remove(dirFd int, s btrfs.Subvolume) error {
	r.Announce("deleting subvolume %d, %q", s.ID, s.Name)
	err := btrfs.DeleteByID(r.top, s.ID)
	switch {
	case errors.Is(err, btrfs.ErrNotFound):
		return nil
	case r.isMember(s):
		return err // what it lies in is the archive's
	case errors.Is(err, unix.EROFS):
		return r.removeFromReadOnly(dirFd, s)
	case errors.Is(err, unix.ENAMETOOLONG):
		return r.removeByName(dirFd, s)
	}
	return err
}

// removeFromReadOnly deletes a subvolume whose name stands in a read-only one,
// where nothing can be removed: the outer one, about to be deleted as well, is
// made writable before.
func (r *Remover) removeFromReadOnly(dirFd int, s btrfs.Subvolume) error {
	outer, err := r.openAround(dirFd, s)
	if err != nil {
		return err
	}
	defer unix.Close(outer)
	if err := btrfs.SetReadOnly(outer, false); err != nil {
		return err
	}
	if err := btrfs.DeleteByID(r.top, s.ID); !errors.Is(err, unix.ENAMETOOLONG) {
		return err
	}
	return r.removeByName(dirFd, s)
}

// removeByName deletes a subvolume that lies so deep that the kernel cannot
// work out its path, by the name in its directory.
func (r *Remover) removeByName(dirFd int, s btrfs.Subvolume) error {
	outer, err := r.openAround(dirFd, s)
	if err != nil {
		return err
	}
	defer unix.Close(outer)
	parent, err := sys.OpenBeneath(outer, path.Clean(s.Directory), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := isStill(parent, s); err != nil {
		return err
	}
	return btrfs.DeleteByName(parent, s.Name)
}

// isStill makes sure that the name in the directory is that subvolume's.
func isStill(dirFd int, s btrfs.Subvolume) error {
	fd, err := sys.OpenComponent(dirFd, s.Name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	info, err := btrfs.Info(fd)
	if err == nil && info.UUID != s.UUID {
		err = &RefusedError{s.Name, "another subvolume has taken its place"}
	}
	return err
}

// openAround opens the subvolume that s lies in, from the directory of the
// archived root on, one component at a time, however long the way is.
func (r *Remover) openAround(dirFd int, s btrfs.Subvolume) (int, error) {
	outer, ok := r.listing.ByID(s.ParentID)
	if !ok {
		return -1, format.Errorf("subvolume %d: %w", s.ParentID, btrfs.ErrNotFound)
	}
	way, at := outer.Name, outer
	for !r.isMember(at) {
		if at, ok = r.listing.ByID(at.ParentID); !ok {
			return -1, format.Errorf("subvolume %d: %w", outer.ID, btrfs.ErrNotFound)
		}
		way = path.Join(at.Name, outer.Directory, way)
		outer = at
	}
	return sys.OpenBeneath(dirFd, way, unix.O_RDONLY|unix.O_DIRECTORY)
}

// isMember reports whether the subvolume is one that an archived root is made
// of, rather than one inside of those.
func (r *Remover) isMember(s btrfs.Subvolume) bool { return s.ParentID == r.parentID }
