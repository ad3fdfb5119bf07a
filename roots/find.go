package roots

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// Find looks for files in archived roots.
type Find struct {
	Top     int      // the top-level subvolume
	Archive string   // its path below that
	Members []Member // the root last, as in [Restore]
	From    uint64   // only look into this archived root; 0: into all

	globs    *globs
	archive  int
	found    []*Version
	newest   map[string]*Version // by path
	failures []error
}

// Version is a file, directory or link of an archived root. Older roots that
// have the very same are in Roots, too.
type Version struct {
	Path     string    `json:"path"` // as it was in the root
	Type     string    `json:"type"` // "regular file", "directory", ...
	Roots    []uint64  `json:"roots"`
	Size     uint64    `json:"size"` // bytes, of regular files
	Modified time.Time `json:"modified"`
	Mode     string    `json:"mode"` // octal
	UID      uint32    `json:"uid"`
	GID      uint32    `json:"gid"`

	status sys.Status
	source string // below the archive
	older  *Version
}

// Run returns what any of the patterns matches, from the newest archived root
// to the oldest, and by path within one. What could not be looked at is in the
// error; the rest is returned all the same. No link is followed, nested
// subvolumes are looked into.
//
// Patterns are those of [path.Match] for each component, with "**" for any
// number of directories. One that does not begin with a slash matches at any
// depth.
func (f *Find) Run(patterns []string) ([]*Version, error) {
	var err error
	if f.globs, err = parseGlobs(patterns); err != nil {
		return nil, err
	}
	f.newest, f.found, f.failures = map[string]*Version{}, []*Version{}, nil
	if f.archive, err = archive.Open(f.Top, f.Archive); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return f.found, err
	}
	defer unix.Close(f.archive)
	numbers := []uint64{f.From}
	if f.From == 0 {
		if numbers, err = archive.Numbers(f.archive); err != nil {
			return nil, err
		}
	}
	for i := len(numbers) - 1; i >= 0; i-- {
		if err := f.root(numbers[i]); err != nil {
			f.failures = append(f.failures, format.Errorf("root %d: %w", numbers[i], err))
		}
	}
	sort.Slice(f.found, func(i, j int) bool {
		a, b := f.found[i], f.found[j]
		return a.Roots[0] > b.Roots[0] || a.Roots[0] == b.Roots[0] && a.Path < b.Path
	})
	return f.found, errors.Join(f.failures...)
}

// root looks into all subvolumes of one archived root.
func (f *Find) root(number uint64) error {
	dir, err := openRoot(f.archive, number)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var hidden []string
	for _, m := range f.Members {
		fd, err := sys.OpenComponent(dir, m.Name, unix.O_RDONLY|unix.O_DIRECTORY)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = f.member(fd, number, m, hidden)
			unix.Close(fd)
		}
		if err != nil {
			return err
		}
		hidden = append(hidden, m.Mount)
	}
	return nil
}

// member looks into one subvolume. What others are mounted over is hidden.
func (f *Find) member(fd int, number uint64, m Member, hidden []string) error {
	mount := strings.TrimSuffix(m.Mount, "/")
	at := f.globs.start
	for _, name := range strings.Split(mount, "/")[1:] {
		at, _ = f.globs.step(at, name)
	}
	w := walk.Walk{Visit: func(w *walk.Walk, name string, kind uint8) (enter bool, mark uint64, err error) {
		left, matches := f.globs.step(places(w.Mark()), name)
		if matches {
			f.add(w, number, m, name)
		}
		if left == 0 || kind != unix.DT_DIR {
			return false, 0, nil
		}
		if len(hidden) > 0 && slices.Contains(hidden, mount+"/"+w.Path(name)) {
			return false, 0, nil
		}
		return true, uint64(left), nil
	}}
	return w.Tree(fd, uint64(at))
}

// add takes a file into the list, or to one in it that has the same contents.
func (f *Find) add(w *walk.Walk, number uint64, m Member, name string) {
	status, err := w.Stat(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.failures = append(f.failures, err)
		}
		return
	}
	rel := w.Path(name)
	v := &Version{
		Path: path.Join(m.Mount, rel), Type: status.TypeName(), Roots: []uint64{number},
		Modified: time.Unix(status.Mtime.Sec, int64(status.Mtime.Nsec)),
		Mode:     format.Sprintf("%04o", status.Permissions()), UID: status.UID, GID: status.GID,
		status: status, source: path.Join(archive.DirectoryName(number), m.Name, rel),
	}
	if status.IsRegular() {
		v.Size = status.Size
	}
	for same := f.newest[v.Path]; same != nil; same = same.older {
		if f.same(same, v) {
			same.Roots = append(same.Roots, number)
			return
		}
	}
	v.older = f.newest[v.Path]
	f.newest[v.Path] = v
	f.found = append(f.found, v)
}

// mostCompared is the size of files that are read to be compared. Larger ones
// count as different when their inodes do.
const mostCompared = 16 << 20

// same reports whether two versions of one path hold the same. Inodes that came
// from one snapshot and were never changed have all in common, down to the
// change time, which nobody can set; everything else is compared byte by byte,
// because sizes and times are easily made the same.
func (f *Find) same(a, b *Version) bool {
	x, y := &a.status, &b.status
	switch {
	case x.Type() != y.Type():
		return false
	case x.IsDirectory(), x.Inode == y.Inode && x.Ctime == y.Ctime && x.Mtime == y.Mtime && x.Size == y.Size:
		return true
	case x.IsSymlink():
		return f.readLink(a) == f.readLink(b)
	}
	return x.IsRegular() && x.Size == y.Size && x.Size <= mostCompared && f.sameBytes(a.source, b.source)
}

func (f *Find) readLink(v *Version) string {
	dir, err := sys.OpenBeneath(f.archive, path.Dir(v.source), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return ""
	}
	defer unix.Close(dir)
	target, _ := sys.ReadSymlink(dir, path.Base(v.source))
	return target
}

// sameBytes reports whether two files below the archive hold the same.
func (f *Find) sameBytes(a, b string) bool {
	one, err := sys.OpenBeneath(f.archive, a, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return false
	}
	defer unix.Close(one)
	other, err := sys.OpenBeneath(f.archive, b, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return false
	}
	defer unix.Close(other)
	var x, y [32 << 10]byte
	for {
		// A file on a disk gives less than asked for only at its end, read(2).
		n, err := unix.Read(one, x[:])
		m, otherErr := unix.Read(other, y[:])
		if err != nil || otherErr != nil || n != m || !bytes.Equal(x[:n], y[:n]) {
			return false
		}
		if n == 0 {
			return true
		}
	}
}
