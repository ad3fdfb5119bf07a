package roots

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// Member is a subvolume that a rollback archives, and where its files are in
// the root.
type Member struct {
	Name  string // in the archive
	Mount string // absolute: "/" for the root itself, "/home" for an ephemeral home
}

// Restore brings files back from archived roots.
type Restore struct {
	Top     int      // the top-level subvolume
	Archive string   // its path below that
	Members []Member // the root last: its mount point is above all others
	From    uint64   // the archived root to take; 0: the newest that has the path
	// Target is the directory that the path is put below; the parents of the
	// path that are missing there are made as they are in the archived root.
	Target int
	// Flat puts just the last component of the path into Target.
	Flat bool
	// Force moves what is in the way to a backup name. Without it what is
	// there is never touched, but for an empty directory or file: it is filled.
	Force bool
	// Store says that Target is a store. What is there may be mounted elsewhere,
	// and a mount stays on what is moved aside: not even Force does that.
	Store bool
	// SetID keeps set-user-ID and set-group-ID bits and file capabilities: a
	// user of then may have owned the file.
	SetID  bool
	DryRun bool
	// Progress is called while data is copied; an error of it ends the copy, of
	// which nothing is left. It may be nil.
	Progress func(path string, s *copytree.Stats) error
}

// Restored is what became of one path.
type Restored struct {
	Path   string         `json:"path"`
	From   uint64         `json:"from"`
	Source string         `json:"source"` // below the top-level subvolume
	Target string         `json:"target"` // below the target directory
	Backup string         `json:"backup,omitempty"`
	Stats  copytree.Stats `json:"stats"`
	Size   *walk.Usage    `json:"size,omitempty"` // what would be restored, in a dry run
}

// Path restores one absolute, clean path: a file or a directory with all that
// is below it, with owner, mode, times, ACLs and other attributes; data is
// shared with the archived root where the file system can. No link is followed
// on the way, neither in the archived root nor in the target: both may belong
// to somebody hostile. It appears under its name when it is whole. An empty
// directory that is there, an entry perhaps, gets what was in it, one name after
// the other, once all of it is copied; an empty file gets the data.
//
// It fails with an error that matches [fs.ErrNotExist] when no archived root
// has the path, and [fs.ErrExist] when something is in the way.
func (r *Restore) Path(p string) (*Restored, error) {
	found, err := r.find(p)
	if err != nil {
		return nil, format.Errorf("restore %q: %w", p, err)
	}
	defer found.close()
	result := &Restored{Path: p, From: found.number, Source: found.source, Target: strings.TrimPrefix(p, "/")}
	if r.Flat {
		result.Target = path.Base(p)
	}
	err = r.place(found, result)
	if err == nil && r.DryRun {
		result.Size = &walk.Usage{}
		err = result.Size.Of(found.fd)
	}
	if err != nil {
		return nil, format.Errorf("restore %q from root %d: %w", p, found.number, err)
	}
	return result, nil
}

// found is the path in an archived root.
type found struct {
	number uint64
	source string
	root   int    // the subvolume
	rel    string // the path in it
	fd     int    // O_PATH, of the path
	status sys.Status
}

func (f *found) close() {
	unix.Close(f.fd)
	unix.Close(f.root)
}

// find looks for the path, in the newest archived root first.
func (r *Restore) find(p string) (*found, error) {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		return nil, errors.New("the path has to be absolute and clean, and not all of the root")
	}
	fd, err := archive.Open(r.Top, r.Archive)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	numbers := []uint64{r.From}
	if r.From == 0 {
		if numbers, err = archive.Numbers(fd); err != nil {
			return nil, err
		}
	}
	for i := len(numbers) - 1; i >= 0; i-- {
		f, err := r.findIn(fd, numbers[i], p)
		if errors.Is(err, fs.ErrNotExist) && r.From == 0 {
			continue
		}
		return f, err
	}
	return nil, format.Errorf("no archived root has it: %w", fs.ErrNotExist)
}

func (r *Restore) findIn(archiveFd int, number uint64, p string) (*found, error) {
	for _, m := range r.Members {
		rel, ok := strings.CutPrefix(p, strings.TrimSuffix(m.Mount, "/")+"/")
		if !ok {
			continue
		}
		name := path.Join(archive.DirectoryName(number), m.Name)
		root, err := sys.OpenBeneath(archiveFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return nil, err
		}
		f := &found{number: number, root: root, rel: rel, source: path.Join(r.Archive, name, rel)}
		if f.fd, err = sys.OpenBeneath(root, rel, unix.O_PATH|unix.O_NOFOLLOW); err == nil {
			f.status, err = sys.Stat(f.fd)
			if err == nil && !f.status.IsDirectory() && !f.status.IsRegular() {
				err = format.Errorf("%q is a %s, neither a directory nor a regular file", f.source, f.status.TypeName())
			}
			if err == nil {
				return f, nil
			}
			unix.Close(f.fd)
		}
		unix.Close(root)
		return nil, err
	}
	return nil, fs.ErrNotExist
}

// place copies what was found to its target, under a temporary name first.
func (r *Restore) place(f *found, result *Restored) error {
	parent, err := r.openParent(f, path.Dir(result.Target))
	if err != nil {
		return err
	}
	if parent < 0 { // a dry run, in a directory that would have to be made
		return nil
	}
	defer unix.Close(parent)
	name := path.Base(result.Target)
	temporary := sys.TemporaryName(name)
	empty, err := openEmpty(f, parent, name, temporary)
	if err != nil {
		return err
	}
	dir := parent // where it is copied to
	if empty >= 0 {
		defer unix.Close(empty)
		dir = empty
	} else if err := r.clear(parent, name, result); err != nil {
		return err
	}
	if r.DryRun {
		return nil
	}
	options := copytree.Options{SetID: r.SetID, Mark: true}
	if r.Progress != nil {
		options.Check = func(s *copytree.Stats) error { return r.Progress(result.Path, s) }
	}
	fd := -1
	if empty >= 0 && f.status.IsRegular() {
		fd, err = sys.Reopen(f.fd, unix.O_RDONLY|unix.O_NONBLOCK)
	} else if empty >= 0 {
		fd = openWhole(dir, temporary, f.number)
	}
	if err == nil && fd < 0 {
		if err = copytree.RemoveUnfinished(dir, temporary); err == nil {
			fd, result.Stats, err = copytree.Copy(f.fd, dir, temporary, options)
		}
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err = sys.SyncFilesystem(fd); err == nil && empty >= 0 {
		return f.fill(empty, fd, temporary, result, options)
	}
	if err == nil {
		err = exchange(parent, temporary, name, result.Backup)
	}
	if err != nil {
		return errors.Join(err, copytree.RemoveUnfinished(dir, temporary))
	}
	// Worst case: the mark stays, on a directory of that name, and tells nobody anything.
	_ = sys.RemoveXattr(fd, copytree.UnfinishedXattr)
	return sys.SyncFilesystem(fd)
}

// exchange gives a copy its name, and what has that name a backup's, if there is
// one. When that fails, what was there is in its place again.
//
// Not by RENAME_EXCHANGE: a run that is killed behind that leaves what was there
// under the temporary name, which the next one clears away.
func exchange(parent int, temporary, name, backup string) error {
	if backup == "" {
		return sys.RenameNoReplace(parent, temporary, parent, name)
	}
	backup = path.Base(backup)
	err := sys.RenameNoReplace(parent, name, parent, backup)
	if err == nil {
		err = sys.RenameNoReplace(parent, temporary, parent, name)
	}
	if err == nil {
		return nil
	}
	back := sys.RenameNoReplace(parent, backup, parent, name)
	switch {
	case errors.Is(back, fs.ErrNotExist):
		back = nil // it has not been moved
	case errors.Is(back, fs.ErrExist): // made anew by its program, or the copy has it all the same
		back = format.Errorf("what was there is %q now", backup)
	}
	return errors.Join(err, back)
}

// clear looks whether something is in the way, and finds a name for it.
func (r *Restore) clear(parent int, name string, result *Restored) error {
	there, err := sys.StatComponent(parent, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	where, is := "DIR", ""
	if r.Store {
		is = "in a store, perhaps mounted"
	}
	if there.IsMountRoot() {
		is = "a mount, an entry perhaps"
		if there.IsDirectory() && !r.Flat {
			where = "/" + result.Target // where it is kept
		}
	}
	if is != "" {
		return format.Errorf("%q is %s, and not empty: restore with --to %s, and move what you need: %w", result.Target, is, where, fs.ErrExist)
	}
	if !r.Force {
		return format.Errorf("%q is there: --force moves it to a backup name: %w", result.Target, fs.ErrExist)
	}
	for n := 1; ; n++ {
		backup := format.Sprintf("%.240s.before-restore-%s", name, strconv.Itoa(n))
		if _, err := sys.StatComponent(parent, backup); errors.Is(err, fs.ErrNotExist) {
			result.Backup = path.Join(path.Dir(result.Target), backup)
			return nil
		} else if err != nil {
			return err
		}
	}
}

// openParent opens the directory rel below the target, and makes what is
// missing of it as it is in the archived root. In a dry run nothing is made;
// the descriptor is then negative.
func (r *Restore) openParent(f *found, rel string) (int, error) {
	at, err := sys.ReopenDirectory(r.Target, unix.O_RDONLY)
	if err != nil || rel == "." {
		return at, err
	}
	way := strings.Split(rel, "/")
	for depth, name := range way {
		next, err := sys.OpenComponent(at, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if errors.Is(err, fs.ErrNotExist) {
			if r.DryRun {
				unix.Close(at)
				return -1, nil
			}
			next, err = r.makeParent(f, at, name, len(way)-depth)
		}
		unix.Close(at)
		if err != nil {
			return -1, format.Errorf("open %q: %w", strings.Join(way[:depth+1], "/"), err)
		}
		at = next
	}
	return at, nil
}

// makeParent makes a directory with the owner and mode of the one that is
// levels above the path in the archived root. Above that root's own top, where
// an ephemeral home is mounted, it is root's. It gets its name last: a home that
// is left behind as root's would keep its user out.
func (r *Restore) makeParent(f *found, dir int, name string, levels int) (int, error) {
	like := sys.Status{Mode: 0o755}
	if above := strings.Split(f.rel, "/"); levels < len(above) {
		fd, err := sys.OpenBeneath(f.root, strings.Join(above[:len(above)-levels], "/"), unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return -1, err
		}
		like, err = sys.Stat(fd)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
	}
	temporary := sys.TemporaryName(name)
	if err := copytree.RemoveUnfinished(dir, temporary); err != nil {
		return -1, err
	}
	fd, err := sys.MakeFresh(dir, temporary)
	if err != nil {
		return -1, err
	}
	err = errors.Join(sys.ChangeOwner(fd, like.UID, like.GID), sys.ChangeMode(fd, like.Permissions()))
	if err == nil {
		err = sys.RenameNoReplace(dir, temporary, dir, name)
	}
	if err != nil {
		unix.Close(fd)
		return -1, errors.Join(err, copytree.RemoveUnfinished(dir, temporary))
	}
	return fd, nil
}
