package stores

import (
	"errors"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// mostTimes is how often one path can be put into the trash on one day.
const mostTimes = 99

// check says why a path of the store cannot be put into the trash.
func (s *Store) check(rel string) error {
	switch mounted := s.Mounted(rel); {
	case s.above[rel]:
		return errors.New("something that is declared lies in it")
	case mounted != "":
		return format.Errorf("it is in use on %q until the next boot", mounted)
	}
	for p := rel; p != "/"; p = path.Dir(p) {
		if s.declared[p] {
			return format.Errorf("%q is declared, or ignored", s.Path+p)
		}
	}
	return nil
}

// Trash moves what is declared nowhere to the trash of the store, with the
// path that it has in the store, by one rename. It returns where it is now. In
// a dry run nothing is moved.
func (s *Store) Trash(rel string, dryRun bool) (to string, err error) {
	if err := s.check(rel); err != nil {
		return "", err
	}
	if s.Doubt != "" {
		return "", format.Errorf("how long it has to stay in the trash cannot be told: %s", s.Doubt)
	}
	dir, err := sys.OpenBeneath(s.fd, path.Clean("."+path.Dir(rel)), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	if _, err := sys.StatComponent(dir, path.Base(rel)); err != nil || dryRun {
		return path.Join(s.Path, ownName, trashName, s.Now.Format(time.DateOnly), rel), err
	}
	if err := s.makeOwn(); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		day := s.Now.Format(time.DateOnly)
		if n > 1 {
			day += format.Sprintf(".%02d", n)
		}
		in := path.Join(trashName, day, path.Dir(rel))
		target, err := makeWay(s.own, in, 0o700)
		if err == nil {
			err = sys.RenameNoReplace(dir, path.Base(rel), target, path.Base(rel))
			unix.Close(target)
		}
		switch {
		case err == nil:
			return path.Join(s.Path, ownName, in, path.Base(rel)), s.touch(day)
		case errors.Is(err, unix.EXDEV):
			return "", format.Errorf("the trash of the store is in another file system or subvolume: %w", err)
		case errors.Is(err, unix.EROFS):
			return "", format.Errorf("a read-only subvolume cannot be moved, btrfs property set -ts PATH ro false: %w", err)
		case n == mostTimes || !errors.Is(err, fs.ErrExist) && !errors.Is(err, unix.ENOTDIR):
			return "", err
		}
		// In the way is what was put into the trash that day, as a file perhaps
		// where a directory has to be.
	}
}

// touch makes the day's directory as young as what came into it last: its time
// is when the grace period begins.
func (s *Store) touch(day string) error {
	fd, err := sys.OpenBeneath(s.own, path.Join(trashName, day), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at := unix.NsecToTimeval(s.Now.UnixNano())
	if err := unix.Futimes(fd, []unix.Timeval{at, at}); err != nil {
		return format.Errorf("set times: %w", err)
	}
	return sys.SyncFilesystem(fd)
}

// makeWay opens the directory rel below dirFd, and makes what is missing of it.
func makeWay(dirFd int, rel string, mode uint32) (int, error) {
	at, err := sys.ReopenDirectory(dirFd, unix.O_RDONLY)
	for _, name := range strings.Split(rel, "/") {
		if err != nil || rel == "." {
			return at, err
		}
		err = makeDirectory(at, name, mode)
		next := -1
		if err == nil {
			next, err = sys.OpenComponent(at, name, unix.O_RDONLY|unix.O_DIRECTORY)
		}
		unix.Close(at)
		at = next
	}
	return at, err
}

// Restore moves what was put into the trash last from a path of the store back
// to it. It returns where it was.
func (s *Store) Restore(rel string, dryRun bool) (from string, err error) {
	days, err := s.Trashed(0)
	if err != nil {
		return "", err
	}
	for i := len(days) - 1; i >= 0; i-- {
		in := path.Join(trashName, days[i].name, path.Dir(rel))
		dir, err := sys.OpenBeneath(s.own, in, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue
		}
		defer unix.Close(dir)
		if _, err := sys.StatComponent(dir, path.Base(rel)); err != nil {
			continue
		}
		from = path.Join(s.Path, ownName, in, path.Base(rel))
		if dryRun {
			return from, nil
		}
		target, err := makeWay(s.fd, path.Clean("."+path.Dir(rel)), 0o755)
		if err != nil {
			return "", err
		}
		defer unix.Close(target)
		err = sys.RenameNoReplace(dir, path.Base(rel), target, path.Base(rel))
		return from, errors.Join(err, sys.SyncFilesystem(target))
	}
	return "", format.Errorf("it is not in the trash: %w", fs.ErrNotExist)
}

// Day is what was put into the trash of a store on one day.
type Day struct {
	Path    string    `json:"path"`
	Expires time.Time `json:"expires"` // when prune may delete it
	Reason  string    `json:"reason"`  // why it goes or stays
	Goes    bool      `json:"goes"`

	name string
}

// Trashed lists the trash of the store, the oldest first, and says what of it
// goes after a grace period of so many days.
func (s *Store) Trashed(graceDays uint64) ([]*Day, error) {
	list := []*Day{}
	trash, err := s.openTrash()
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(trash)
	names, err := archive.Names(trash)
	sort.Slice(names, func(i, j int) bool { return names[i] < names[j] })
	for _, name := range names {
		day, err := format.ParseDate(name[:min(len(name), len(time.DateOnly))], time.UTC)
		if err != nil {
			continue // nothing of ebb's
		}
		if status, err := sys.StatComponent(trash, name); err == nil {
			// The very time, where it is of that day.
			if at := time.Unix(status.Mtime.Sec, 0).UTC(); at.Sub(day) > 0 && at.Sub(day) < 24*time.Hour {
				day = at
			}
		}
		d := &Day{Path: path.Join(s.Path, ownName, trashName, name), name: name, Expires: day.AddDate(0, 0, int(graceDays))}
		switch mounted := s.Mounted("/" + path.Join(ownName, trashName, name)); {
		case s.Doubt != "":
			d.Reason = s.Doubt
		case s.Now.Before(d.Expires):
			d.Reason = "until " + d.Expires.Format(time.DateOnly)
		case mounted != "":
			d.Reason = "in use on " + mounted
		default:
			d.Goes, d.Reason = true, format.Sprintf("in the trash for %d days", graceDays)
		}
		list = append(list, d)
	}
	return list, err
}

func (s *Store) openTrash() (int, error) {
	if s.own < 0 {
		return -1, fs.ErrNotExist
	}
	return sys.OpenComponent(s.own, trashName, unix.O_RDONLY|unix.O_DIRECTORY)
}

// Delete deletes a day of the trash for good. It follows no link and enters no
// mount; subvolumes in it are deleted along with it, also read-only ones. It can
// be killed at any time, the next run goes on.
func (s *Store) Delete(d *Day) error {
	trash, err := s.openTrash()
	if err != nil {
		return err
	}
	defer unix.Close(trash)
	dir, err := sys.OpenComponent(trash, d.name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil {
		err = unseal(dir)
		unix.Close(dir)
	}
	if err != nil {
		return err
	}
	return copytree.Remove(trash, d.name)
}

// unseal makes the subvolumes below a directory writable: nothing can be
// removed from others.
func unseal(dirFd int) error {
	w := walk.Walk{Visit: func(w *walk.Walk, name string, kind uint8) (bool, uint64, error) {
		if kind != unix.DT_DIR {
			return false, 0, nil
		}
		fd, err := sys.OpenComponent(w.Fd(), name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return false, 0, err
		}
		defer unix.Close(fd)
		is, err := btrfs.IsSubvolume(fd)
		if is && err == nil {
			err = btrfs.SetReadOnly(fd, false)
		}
		return true, 0, err
	}}
	return w.Tree(dirFd, 0)
}
