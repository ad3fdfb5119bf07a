package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// disk is a btrfs with roots on it, and all that was ever written on them.
type disk struct {
	*testenv.Fixture
	top     int
	members []member
	written []writing
	// unsealed: a record has told of an archived root that could not be made
	// read-only.
	unsealed bool
}

// member is a subvolume that is rolled back.
type member struct {
	name string // in the archive
	live string
	// blank is what a fresh one holds; nil: nothing.
	blank []string
}

// writing is what somebody has written on a live subvolume.
type writing struct {
	member string
	uuid   btrfs.UUID
	files  map[string]string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{})}
	d.top = d.Open(".")
	return d
}

// clear takes everything away.
func (d *disk) clear(t *testing.T) {
	t.Helper()
	d.written, d.unsealed = nil, false
	listing, err := btrfs.List(d.top)
	require(t, err)
	for _, s := range slices.Backward(listing) { // those inside others are younger
		if s.ID != btrfs.TopLevelID {
			require(t, d.unlock(listing, s.ParentID))
			require(t, btrfs.DeleteByID(d.top, s.ID))
		}
	}
	names, err := os.ReadDir(d.Dir)
	require(t, err)
	for _, n := range names {
		require(t, os.RemoveAll(d.Path(n.Name())))
	}
}

// unlock makes a subvolume writable: nothing can be deleted from a read-only one.
func (d *disk) unlock(listing btrfs.Listing, id uint64) error {
	if s, found := listing.ByID(id); !found || !s.Flags.IsReadOnly() {
		return nil
	}
	path, err := listing.Path(id)
	if err != nil {
		return err
	}
	fd, err := unix.Open(d.Path(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return btrfs.SetReadOnly(fd, false)
}

// uuidOf returns the uuid of the subvolume at path, zero when there is none.
func (d *disk) uuidOf(t *testing.T, path string) btrfs.UUID {
	t.Helper()
	fd, err := unix.Open(d.Path(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return btrfs.UUID{}
	}
	require(t, err)
	defer unix.Close(fd)
	is, err := btrfs.IsSubvolume(fd)
	require(t, err)
	if !is {
		t.Errorf("%s is not a subvolume", path)
	}
	info, err := btrfs.Info(fd)
	require(t, err)
	return info.UUID
}

func (d *disk) exists(path string) bool {
	_, err := os.Lstat(d.Path(path))
	return err == nil
}

// write is the life of a machine on its live subvolumes. The first root also
// has a nested subvolume, which moves along.
func (d *disk) write(t *testing.T, specs ...string) {
	t.Helper()
	for _, m := range d.members {
		uuid := d.uuidOf(t, m.live)
		if uuid.IsZero() || slices.ContainsFunc(d.written, func(w writing) bool { return w.uuid == uuid }) {
			continue
		}
		n := len(d.written) + 1
		files := map[string]string{"etc/written": fmt.Sprintf("%s %d", m.name, n), "note": strings.Repeat("x", 5000)}
		for path, text := range files {
			require(t, os.MkdirAll(filepath.Dir(d.Path(m.live, path)), 0o755))
			require(t, os.WriteFile(d.Path(m.live, path), []byte(text), 0o600))
		}
		if n == 1 {
			testenv.Tree(t, d.Path(m.live), append([]string{"subvolume srv", "file srv/inner 0600 0:0 nested"}, specs...)...)
			files["srv/inner"] = "nested"
		}
		d.written = append(d.written, writing{member: m.name, uuid: uuid, files: files})
	}
}

// isWritten reports whether somebody has lived on the subvolume of that uuid.
func (d *disk) isWritten(uuid btrfs.UUID) bool {
	return slices.ContainsFunc(d.written, func(w writing) bool { return w.uuid == uuid })
}

// whole checks that everything ever written is in one place, whole, and that
// each live subvolume is an old one or a fresh one, and nothing in between.
// Before a boot has cleared up, the staging directory is such a place, too.
func (d *disk) whole(t *testing.T, tidy bool) {
	t.Helper()
	listing, err := btrfs.List(d.top)
	require(t, err)
	for _, w := range d.written {
		var places []string
		for _, s := range listing {
			if s.UUID == w.uuid {
				path, err := listing.Path(s.ID)
				require(t, err)
				places = append(places, path)
			}
		}
		if len(places) != 1 || !d.isPlace(places[0], w.member, tidy) {
			t.Errorf("what was written on %s (uuid %s) is at %q", w.member, w.uuid, places)
			continue
		}
		for path, text := range w.files {
			if got, err := os.ReadFile(d.Path(places[0], path)); err != nil || string(got) != text {
				t.Errorf("%s/%s holds %.20q, %v", places[0], path, got, err)
			}
		}
	}
	for _, m := range d.members {
		d.liveIsWhole(t, m)
	}
	if tidy {
		d.isTidy(t)
	}
}

var archived = regexp.MustCompile(`^@roots/[0-9]{6}/([a-z]+)$`)

func (d *disk) isPlace(path, name string, tidy bool) bool {
	if match := archived.FindStringSubmatch(path); match != nil {
		return match[1] == name
	}
	for _, m := range d.members {
		if m.name == name && m.live == path {
			return true
		}
	}
	return !tidy && path == "@roots/.next/"+name
}

// liveIsWhole: a live subvolume that nobody has lived on holds what a fresh
// one does, and nothing else.
func (d *disk) liveIsWhole(t *testing.T, m member) {
	t.Helper()
	uuid := d.uuidOf(t, m.live)
	if uuid.IsZero() {
		if d.isWrittenMember(m.name) {
			t.Errorf("there is no %s", m.live)
		}
		return
	}
	if d.isWritten(uuid) {
		return
	}
	names, err := os.ReadDir(d.Path(m.live))
	require(t, err)
	var got []string
	for _, n := range names {
		got = append(got, n.Name())
	}
	if !slices.Equal(got, m.blank) {
		t.Errorf("%s is neither old nor fresh: it holds %q, a fresh one %q", m.live, got, m.blank)
	}
}

func (d *disk) isWrittenMember(name string) bool {
	return slices.ContainsFunc(d.written, func(w writing) bool { return w.member == name })
}

// isTidy: no rollback is left in the middle, every archived subvolume is
// read-only and described, and numbers are given once.
func (d *disk) isTidy(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(d.Path("@roots", archive.Next)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", archive.Next, err)
	}
	roots, err := filepath.Glob(d.Path("@roots/[0-9]*"))
	require(t, err)
	for _, root := range roots {
		d.isArchived(t, root)
	}
	if info, err := os.Stat(d.Path("@roots")); err == nil && info.Mode().Perm() != 0o700 {
		t.Errorf("the archive has the mode %v", info.Mode())
	}
}

func (d *disk) isArchived(t *testing.T, root string) {
	t.Helper()
	dir, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require(t, err)
	defer unix.Close(dir)
	if _, err := archive.ReadInfo(dir); err != nil {
		t.Errorf("%s: %v", root, err)
	}
	names, err := archive.Names(dir)
	require(t, err)
	for _, name := range names {
		if name == archive.Meta {
			continue
		}
		fd, err := unix.Open(filepath.Join(root, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require(t, err)
		flags, err := btrfs.GetFlags(fd)
		unix.Close(fd)
		if err != nil || !flags.IsReadOnly() && !d.unsealed {
			t.Errorf("%s/%s is not read-only (%v)", root, name, err)
		}
	}
}

func require(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
