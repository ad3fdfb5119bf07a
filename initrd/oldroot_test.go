package initrd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/mounts"
	"github.com/ebb-nix/ebb/roots"
)

// homes is a root with a home that is rolled back along with it, one user of
// which has a subvolume that is, too.
const homes = `, "also": [{"name": "home", "subvolume": "@home"}, {"name": "ada", "subvolume": "users/ada"}]`

// seen mounts the live root as the machine sees it, and returns where.
func (b *bench) seen(subvolumes map[string]string, order ...string) string {
	b.t.Helper()
	dir := b.t.TempDir()
	b.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	for _, place := range order {
		at := filepath.Join(dir, place)
		if err := os.MkdirAll(at, 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := unix.Mount(b.Device(), at, "btrfs", 0, "subvol="+subvolumes[place]); err != nil {
			b.t.Fatalf("mount %s on %s: %v", subvolumes[place], at, err)
		}
	}
	return dir
}

// bring brings the entries of the store /persist in below dir, as in a boot.
func (b *bench) bring(h *Host, dir string, paths ...string) map[string]mounts.EntryResult {
	b.t.Helper()
	store := config.Store{Path: "/persist"}
	for _, path := range paths {
		store.Entries = append(store.Entries, config.Entry{Path: path, Directory: true, How: config.Bind})
	}
	b.cfg.Stores = []config.Store{store}
	root, err := h.EntryRoot(b.cfg, dir)
	if err != nil {
		b.t.Fatal(err)
	}
	defer unix.Close(root.Fd)
	root.Utab = ""
	results := map[string]mounts.EntryResult{}
	for _, e := range root.Mount().Entries {
		results[e.Path] = e
		if !e.OK() {
			b.t.Errorf("%s: %s: %s", e.Path, e.State, e.Reason)
		}
	}
	return results
}

// Entries on what is rolled back along with the root find their data in what was
// archived of it, and never in what lies below its mount point.
func TestAdoptFromMembers(t *testing.T) {
	b := newBench(t, homes, "subvolume @", "subvolume @home", "dir users", "subvolume users/ada", "subvolume @persist",
		"file @/home/bob/docs/letter 0644 0:0 hidden", "file @/home/bob/hidden/x 0644 0:0 hidden", "file @/var/lib/app/db 0644 0:0 db",
		"file @home/bob/docs/letter 0600 1000:100 dear", "file @home/ada/docs/letter 0644 0:0 hidden",
		"file users/ada/docs/letter 0644 0:0 ada")
	h := b.host("")
	if err := h.Rollback(b.cfg); err != nil {
		t.Fatal(err)
	}
	dir := b.seen(map[string]string{"": "@", "home": "@home", "home/ada": "users/ada", "persist": "@persist"}, "", "home", "home/ada", "persist")
	if members, err := MemberMounts(&b.cfg.Root, dir); err != nil || !slices.Equal(members, []roots.Member{{Name: "ada", Mount: "/home/ada"}, {Name: "home", Mount: "/home"}, {Name: "root", Mount: "/"}}) {
		t.Errorf("%+v, %v", members, err)
	}
	results := b.bring(h, dir, "/home/ada/docs", "/home/bob/docs", "/home/bob/hidden", "/var/lib/app")
	for path, adopted := range map[string]bool{"/home/ada/docs": true, "/home/bob/docs": true, "/home/bob/hidden": false, "/var/lib/app": true} {
		if r := results[path]; (r.Adopted != nil) != adopted || r.Adoption != "" {
			t.Errorf("%s: %+v", path, r)
		}
	}
	b.wantFile("@persist/home/ada/docs/letter", "ada")
	b.wantFile("@persist/home/bob/docs/letter", "dear")
	b.wantFile("@persist/var/lib/app/db", "db")
	b.wantGone("@persist/home/bob/hidden/x")
}

// A subvolume that this boot has not rolled back has its data where it was,
// whatever an older boot has archived of it.
func TestAdoptFromMemberNotRolledBack(t *testing.T) {
	b := newBench(t, homes, "subvolume @", "subvolume @home", "dir users", "subvolume users/ada", "subvolume @persist",
		"file @home/bob/docs/letter 0644 0:0 older")
	b.rollback("") // and no entry was brought in: older roots count
	testenv.Tree(t, b.Dir, "file @/home/bob/docs/letter 0644 0:0 hidden", "file @home/bob/docs/letter 0644 0:0 live")
	also := b.cfg.Root.Also
	b.cfg.Root.Also = nil
	h := b.host("")
	if err := h.Rollback(b.cfg); err != nil {
		t.Fatal(err)
	}
	b.cfg.Root.Also = also
	dir := b.seen(map[string]string{"": "@", "home": "@home", "persist": "@persist"}, "", "home", "persist")
	if r := b.bring(h, dir, "/home/bob/docs")["/home/bob/docs"]; r.Adopted == nil {
		t.Errorf("%+v", r)
	}
	b.wantFile("@persist/home/bob/docs/letter", "live")
}

// Boots that came to nothing are looked through for what was mounted, too.
func TestAdoptFromMemberOfOlderRoot(t *testing.T) {
	b := newBench(t, homes, "subvolume @", "subvolume @home", "dir users", "subvolume users/ada", "subvolume @persist",
		"file @home/bob/docs/letter 0644 0:0 dear")
	b.rollback("")
	h := b.host("")
	if err := h.Rollback(b.cfg); err != nil {
		t.Fatal(err)
	}
	dir := b.seen(map[string]string{"": "@", "home": "@home", "persist": "@persist"}, "", "home", "persist")
	b.bring(h, dir, "/home/bob/docs")
	b.wantFile("@persist/home/bob/docs/letter", "dear")
	// Of another file system whose subvolume has the same name nothing is known.
	other := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, other.Dir, "subvolume @home")
	if err := errors.Join(unix.Unmount(filepath.Join(dir, "home"), unix.MNT_DETACH),
		unix.Mount(other.Device(), filepath.Join(dir, "home"), "btrfs", 0, "subvol=@home")); err != nil {
		t.Fatal(err)
	}
	members, err := MemberMounts(&b.cfg.Root, dir)
	if err != nil || len(members) != 1 || members[0].Mount != "/" {
		t.Errorf("%+v, %v", members, err)
	}
}

// Behind so many boots that came to nothing nobody looks: that there may be data is
// told, and noted for later boots.
func TestMostOldRoots(t *testing.T) {
	for _, boots := range []int{mostOldRoots, mostOldRoots + 1} {
		b := newBench(t, "", "subvolume @", "subvolume @persist", "file @/srv/data/file 0644 0:0 data")
		for range boots - 1 {
			b.rollback("")
		}
		h := b.host("")
		if err := h.Rollback(b.cfg); err != nil {
			t.Fatal(err)
		}
		dir := b.seen(map[string]string{"": "@", "persist": "@persist"}, "", "persist")
		r := b.bring(h, dir, "/srv/data")["/srv/data"]
		if boots <= mostOldRoots {
			b.wantFile("@persist/srv/data/file", "data")
			continue
		}
		want := "skipped: open the archived root: more than 64 boots came to nothing; the data is in archived root 1, get it with: ebb restore --from 1 /srv/data"
		if r.Adopted != nil || r.Adoption != want || r.Left != 1 {
			t.Errorf("%+v", r)
		}
	}
}

// A boot that keeps the root of one that came to nothing finds what that one was to
// adopt in the archive; what the root itself has by then is newer.
func TestAdoptOnKeptRoot(t *testing.T) {
	for _, line := range []string{"ebb.rollback=no", ""} {
		b := newBench(t, "", "subvolume @", "subvolume @persist", "file @/srv/a/old 0644 0:0 old", "file @/srv/b/old 0644 0:0 old")
		b.rollback("") // and the power is cut before any entry is in place
		testenv.Tree(t, b.Dir, "file @/srv/b/new 0644 0:0 new")
		h := b.host(line)
		if line != "" {
			if err := h.Rollback(b.cfg); err != nil {
				t.Fatal(err)
			}
		} // else nothing is known of this boot: its record could not be written
		dir := b.seen(map[string]string{"": "@", "persist": "@persist"}, "", "persist")
		results := b.bring(h, dir, "/srv/a", "/srv/b", "/srv/c")
		if results["/srv/a"].Adopted == nil || results["/srv/b"].Adopted == nil || results["/srv/c"].Adopted != nil || results["/srv/c"].Adoption != "" {
			t.Errorf("%+v", results)
		}
		b.wantFile("@persist/srv/a/old", "old")
		b.wantFile("@persist/srv/b/new", "new")
		b.wantGone("@persist/srv/b/old")
	}
}

// A root on which all entries were in place has nothing left behind it.
func TestNothingBehindKeptRoot(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @persist", "file @/srv/a/old 0644 0:0 old")
	b.rollback("")
	dir := b.seen(map[string]string{"": "@", "persist": "@persist"}, "", "persist")
	fd, err := sys.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	markEntered(fd)
	if r := b.bring(b.host("ebb.rollback=no"), dir, "/srv/a")["/srv/a"]; r.Adopted != nil || r.Adoption != "" || !r.Created {
		t.Errorf("%+v", r)
	}
}

// A root is not marked as one that has all entries while data stays in the archive
// of which no source tells: the next boot looks for it again.
func TestUnnotedDataKeepsTheRootUnmarked(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @persist", "dir @/etc/large", "dir @/srv/a", "file @/srv/a/1 0644 0:0 1", "file @/srv/a/2 0644 0:0 2")
	b.cfg.Adopt = config.Adopt{Files: 1}
	entries := []config.Entry{{Path: "/etc/large", How: config.Sync}, {Path: "/srv/a", Directory: true, How: config.Bind}}
	for n, unmarked := range []bool{true, false} {
		h := b.host("")
		if err := h.Rollback(b.cfg); err != nil {
			t.Fatal(err)
		}
		dir := b.seen(map[string]string{"": "@", "persist": "@persist"}, "", "persist")
		b.cfg.Stores = []config.Store{{Path: "/persist", Entries: entries[n:]}}
		if err := h.Mount(b.cfg, dir); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Getxattr(dir, enteredAttribute, nil); errors.Is(err, unix.ENODATA) != unmarked {
			t.Errorf("entries %v: %v", entries[n:], err)
		}
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
	}
}

// What a blank has in the place of a file that is copied is older than the copy in
// the store, whatever its times, on a root that nobody has used yet; in a later run
// what a program has changed stays.
func TestSyncOverBlank(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "file @blank/etc/f 0644 0:0 blank", "subvolume @persist", "file @persist/etc/f 0644 0:0 stored")
	b.cfg.Stores = []config.Store{{Path: "/persist", Entries: []config.Entry{{Path: "/etc/f", How: config.Sync}}}}
	for boot := range 3 {
		if boot == 2 { // newer than all that the store has
			if err := os.WriteFile(b.Path("@blank/etc/f"), []byte("blank again"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h := b.host("")
		if err := h.Rollback(b.cfg); err != nil {
			t.Fatal(err)
		}
		dir := b.seen(map[string]string{"": "@", "persist": "@persist"}, "", "persist")
		if err := h.Mount(b.cfg, dir); err != nil {
			t.Fatal(err)
		}
		b.wantFile("@/etc/f", "stored")
		b.wantFile("@persist/etc/f", "stored")
		if names, err := os.ReadDir(b.Path("@persist/etc")); err != nil || len(names) != 1 {
			t.Errorf("boot %d: %v, %v", boot, names, err)
		}
		if err := os.WriteFile(b.Path("@/etc/f"), []byte("changed"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := h.Mount(b.cfg, dir); err != nil {
			t.Fatal(err)
		}
		b.wantFile("@/etc/f", "changed")
		for unix.Unmount(filepath.Join(dir, "persist"), unix.MNT_DETACH) == nil || unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
	}
}
