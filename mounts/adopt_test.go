package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// oldRoot gives the ground an old root with files in it.
func (g *ground) oldRoot(specs ...string) string {
	g.t.Helper()
	dir := g.t.TempDir()
	testenv.Tree(g.t, dir, specs...)
	g.root.OldRoots = opening(dir)
	return dir
}

// opening opens directories as old roots, the newest first: each is a path, or
// one after its place in the root and a colon. "/home:" was not archived.
func opening(dirs ...string) func() ([]OldRoot, error) {
	return func() (old []OldRoot, err error) {
		for _, dir := range dirs {
			r := OldRoot{Fd: -1, Number: 17}
			if place, below, found := strings.Cut(dir, ":"); found {
				r.Mount, dir = place, below
			}
			if dir != "" {
				r.Fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
				if err != nil {
					return old, err
				}
			}
			old = append(old, r)
		}
		return old, nil
	}
}

func TestAdoptFromOldRoot(t *testing.T) {
	g := newGround(t)
	old := g.oldRoot("dir var/lib/app 0710", "file var/lib/app/db 0640 0:0 data", "xattr var/lib/app/db user.x y",
		"link var/lib/app/l db", "file etc/machine-id 0444 0:0 0123", "file etc/key 0600 0:0 key")
	id := file("/etc/machine-id")
	id.How = config.Sync
	key := file("/etc/key")
	key.How = config.Symlink
	g.entries(directory("/var/lib/app"), id, key)
	results := g.mount()
	for path, r := range results {
		if r.State != InPlace || !r.Created || r.Adopted == nil {
			t.Errorf("%s: %+v", path, r)
		}
	}
	if stats := results["/var/lib/app"].Adopted; stats.Files != 3 {
		t.Errorf("adopted %+v", stats)
	}
	want := testenv.Fingerprint(t, filepath.Join(old, "var/lib/app"))
	if diff := want.Diff(testenv.Fingerprint(t, g.path("var/lib/app"))); diff != "" {
		t.Errorf("adopted something else:\n%s", diff)
	}
	g.requireSame("var/lib/app/db", "persist/var/lib/app/db")
	g.requireContent("etc/machine-id", "0123")
	g.requireContent("persist/etc/machine-id", "0123")
	g.requireStat("etc/machine-id", "file 0444")
	g.requireContent("persist/etc/key", "key")
	if text, err := os.Readlink(g.path("etc/key")); err != nil || text != "/persist/etc/key" {
		t.Errorf("link to %q (%v)", text, err)
	}
	for path, r := range g.mount() {
		if r.State != Already || r.Created {
			t.Errorf("second run: %s: %+v", path, r)
		}
	}
}

func TestAdoptNeverOverwrites(t *testing.T) {
	g := newGround(t)
	g.oldRoot("file etc/key 0600 0:0 old")
	g.tree("file persist/etc/key 0640 0:0 kept")
	g.entries(file("/etc/key"))
	g.requireState(g.mount(), "/etc/key", InPlace)
	g.requireContent("etc/key", "kept")
	g.requireStat("persist/etc/key", "file 0640")
}

func TestAdoptFromRootItself(t *testing.T) {
	g := newGround(t)
	g.tree("dir srv 0750", "file srv/data 0600 0:0 precious", "dir empty 0700", "file conf 0640 0:0 text", "file hollow 0600")
	g.entries(directory("/srv"), directory("/empty"), file("/conf"), file("/hollow"))
	results := g.mount()
	for _, path := range []string{"/srv", "/conf"} {
		g.requireState(results, path, InPlace)
		if results[path].Adopted == nil {
			t.Errorf("%s was not adopted", path)
		}
	}
	g.requireContent("srv/data", "precious")
	g.requireSame("srv/data", "persist/srv/data")
	g.requireStat("persist/srv", "dir 0750")
	g.requireContent("persist/conf", "text")
	// What holds nothing is made as the entry has it.
	g.requireStat("persist/empty", "dir 0755")
	g.requireStat("persist/hollow", "file 0644")
}

func TestAdoptTooLarge(t *testing.T) {
	g := newGround(t)
	g.root.Adopt.Files = 3
	g.oldRoot("dir a 0711", "file a/1", "file a/2", "file a/3", "dir l", "file l/1", "file l/2", "file l/3")
	g.tree("dir b", "file b/1", "file b/2", "file b/3")
	link := directory("/l")
	link.How = config.Symlink
	g.entries(directory("/a"), directory("/b"), link)
	results := g.mount()
	g.requireState(results, "/a", InPlace)
	if r := results["/a"]; r.Adopted != nil || r.Adoption != "skipped: copy: too large: more than 3 files; the data is in archived root 17, get it with: ebb restore --from 17 /a" {
		t.Errorf("%+v", r)
	}
	g.requireState(results, "/l", InPlace)
	if r := results["/l"]; !strings.HasSuffix(r.Adoption, "ebb restore --into-store --from 17 /l") {
		t.Errorf("%+v", r)
	}
	g.requireStat("persist/a", "dir 0755")
	// Data in the root itself would be hidden by an empty source.
	g.requireState(results, "/b", Failed)
	g.requireStat("b/3", "file 0644")
	g.requireMissing("persist/b")
	left, err := os.ReadDir(g.path("persist"))
	if err != nil || len(left) != 2 {
		t.Errorf("in the store: %v (%v)", left, err)
	}
}

// What was left is told in each boot until the note goes, whoever has put
// something into the source meanwhile.
func TestLeftIsNotForgotten(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.root.Adopt.Files = 1
	g.oldRoot("file a/1", "file b/1", "dir l/1", "link m /etc")
	sub := directory("/b")
	sub.Subvolume, sub.NoDataCOW = true, true
	link := directory("/l")
	link.How = config.Symlink
	g.entries(directory("/a"), sub, link, directory("/m"))
	results := g.mount()
	if r := results["/m"]; r.Left != 0 || strings.Contains(r.Adoption, "archived root") || r.Adoption == "" {
		t.Errorf("of what could not be brought back: %+v", r)
	}
	delete(results, "/m")
	for path, r := range results {
		if r.State != InPlace || r.Left != 17 {
			t.Errorf("%s: %+v", path, r)
		}
	}
	g.root.OldRoots = nil
	g.tree("file a/new")
	for path, r := range g.mount() {
		if r.State != Already || r.Adoption != "" {
			t.Errorf("second run: %s: %+v", path, r)
		}
	}
	if err := unix.Removexattr(g.path("persist/b"), "trusted.ebb.left"); err != nil {
		t.Fatal(err)
	}
	for path, r := range byPath(g.root.Check()) {
		told := strings.HasSuffix(r.Adoption, "in archived root 17, get it with: ebb restore --from 17 "+path) ||
			strings.HasSuffix(r.Adoption, "in archived root 17, get it with: ebb restore --into-store --from 17 /l")
		if told != (path == "/a" || path == "/l") || told != (r.Left == 17) {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

func TestAdoptStale(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	for _, owner := range []string{"0:0", "1000:100"} {
		g := newGround(t)
		g.oldRoot("file a/data 0644 0:0 new")
		temporary := "persist/" + sys.TemporaryName("a")
		g.tree("file outside 0644 0:0 canary", "file "+temporary+"/new/half", "dir "+temporary+"/new/sub",
			"link "+temporary+"/new/sub/l /outside", "dir "+temporary+" 0700 "+owner)
		g.entries(directory("/a"))
		results := g.mount()
		g.requireContent("outside", "canary")
		g.requireState(results, "/a", InPlace)
		if owner == "0:0" {
			g.requireContent("a/data", "new")
			g.requireMissing(temporary)
			continue
		}
		g.requireStat(temporary+"/new/half", "file 0644")
		if !strings.Contains(results["/a"].Adoption, "uid 1000") {
			t.Errorf("adoption: %q", results["/a"].Adoption)
		}
	}
}

func TestAdoptWrongTypes(t *testing.T) {
	g := newGround(t)
	g.oldRoot("link a /etc", "fifo b", "file c", "dir d", "link e/f ..", "link own /persist/own")
	own := directory("/own")
	own.How = config.Symlink
	g.entries(directory("/a"), file("/b"), directory("/c"), file("/d"), directory("/e/f/g"), own)
	results := g.mount()
	for path, r := range results {
		if r.State != InPlace || r.Adopted != nil || (r.Adoption == "") != (path == "/own") {
			t.Errorf("%s: %+v", path, r)
		}
	}
	if text := results["/b"].Adoption; !strings.Contains(text, "FIFO owned by uid 0") {
		t.Errorf("adoption of a FIFO: %q", text)
	}
}

func TestOldRootFails(t *testing.T) {
	g := newGround(t)
	asked := 0
	g.root.OldRoots = func() ([]OldRoot, error) {
		asked++
		return []OldRoot{{Fd: -1, Number: 17}}, fmt.Errorf("disk on fire")
	}
	g.entries(directory("/a"), directory("/b"))
	results := g.mount()
	g.requireState(results, "/a", InPlace)
	if !strings.Contains(results["/b"].Adoption, "disk on fire") || asked != 1 {
		t.Errorf("%q, asked %d times", results["/b"].Adoption, asked)
	}
	g.root.OldRoots = func() ([]OldRoot, error) { t.Error("asked for the old root in vain"); return nil, nil }
	g.mount()
}

func TestBtrfs(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @persist", "subvolume old",
		"file old/var/db 0644 0:0 "+strings.Repeat("x", 1<<20))
	g := &ground{t: t, dir: t.TempDir()}
	for _, m := range []struct{ name, dir string }{{"@", ""}, {"@persist", "persist"}} {
		if err := os.MkdirAll(g.path(m.dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(f.Device(), g.path(m.dir), "btrfs", 0, "subvol="+m.name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { unix.Unmount(g.dir, unix.MNT_DETACH) })
	rootFd, err := unix.Open(g.dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(rootFd)
	g.root = &Root{
		Fd: rootFd, Dir: g.dir, Adopt: config.Adopt{Files: 10, CopiedBytes: 1},
		NewSubvolume: btrfs.CreateSubvolume,
		OldRoots:     opening(f.Path("old")),
		Utab:         filepath.Join(t.TempDir(), "utab"),
	}
	sub := owned(directory("/sub"), 1000, 100, 0o750)
	sub.Subvolume = true
	nocow, nocowFile := directory("/nocow"), file("/nocowfile")
	nocow.NoDataCOW, nocowFile.NoDataCOW = true, true
	g.entries(sub, nocow, nocowFile, directory("/var"))
	results := g.mount()
	for path, r := range results {
		if r.State != InPlace || len(r.Notes) > 0 {
			t.Errorf("%s: %+v", path, r)
		}
	}
	inventory := testenv.Fingerprint(t, g.path("persist"))
	if !strings.HasPrefix(inventory["sub"], "subvolume 0750 1000:100") {
		t.Errorf("sub is a %s", inventory["sub"])
	}
	for _, name := range []string{"nocow", "nocowfile"} {
		fd, err := unix.Open(g.path("persist/"+name), unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if flags, err := sys.InodeFlags(fd); err != nil || flags&sys.NoCOW == 0 {
			t.Errorf("%s: flags %#x (%v)", name, flags, err)
		}
		unix.Close(fd)
	}
	if stats := results["/var"].Adopted; stats == nil || stats.Copied != 0 || stats.Shared != 1<<20 {
		t.Errorf("adopted %+v", stats)
	}
	utab, err := os.ReadFile(g.root.Utab)
	if err != nil || !strings.Contains(string(utab), "SRC="+f.Device()+" TARGET=/sub ROOT=/@persist/sub OPTS=x-initrd.mount\n") {
		t.Errorf("utab (%v):\n%s", err, utab)
	}
	for path, r := range g.mount() {
		if r.State != Already {
			t.Errorf("second run: %s: %+v", path, r)
		}
	}
}

func TestSubvolumeElsewhere(t *testing.T) {
	g := newGround(t)
	a, b := directory("/a"), directory("/b")
	a.Subvolume, b.Subvolume, b.NoDataCOW = true, true, true
	g.entries(a, b)
	results := g.mount()
	g.requireState(results, "/a", InPlace)
	if notes := results["/a"].Notes; len(notes) != 1 || !strings.Contains(notes[0], "not a subvolume") {
		t.Errorf("notes %q", notes)
	}
	g.root.NewSubvolume = btrfs.CreateSubvolume
	g.root.Stores = nil
	c := directory("/c")
	c.Subvolume = true
	g.entries(c)
	results = g.mount()
	g.requireState(results, "/c", InPlace)
	if notes := results["/c"].Notes; len(notes) != 1 || !strings.Contains(notes[0], "not a subvolume") {
		t.Errorf("notes %q", notes)
	}
	g.requireStat("persist/c", "dir 0755")
}

// A boot that ended before its entries were in place does not hide what an
// older root has: its root holds mount points at most.
func TestAdoptFromOlderRoot(t *testing.T) {
	g := newGround(t)
	newest, older := t.TempDir(), t.TempDir()
	testenv.Tree(t, newest, "dir var/a", "file etc/f", "dir var/b", "file var/b/new 0644 0:0 new")
	testenv.Tree(t, older, "file var/a/data 0644 0:0 old", "file etc/f 0644 0:0 old", "file var/b/new 0644 0:0 old")
	g.root.OldRoots = opening(newest, older)
	g.entries(directory("/var/a"), directory("/var/b"), file("/etc/f"))
	g.mount()
	g.requireContent("persist/var/a/data", "old")
	g.requireContent("persist/etc/f", "old")
	g.requireContent("persist/var/b/new", "new")
}

// What was mounted in the old root was what could be seen there, whatever lies
// below the mount point; of two it is the deeper one. Of what was not archived in
// this boot the root itself has the newest.
func TestAdoptFromWhatWasMounted(t *testing.T) {
	g := newGround(t)
	root, home, docs, older := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	testenv.Tree(t, root, "file home/u/docs/letter 0644 0:0 hidden", "file home/u/notes/n 0644 0:0 hidden", "file homework/x 0644 0:0 root", "file srv/www/x 0644 0:0 hidden")
	testenv.Tree(t, home, "dir u/docs", "dir u/empty", "file u/mail/m 0600 1000:100 mail", "file u/conf 0600 0:0 conf")
	testenv.Tree(t, docs, "file letter 0644 0:0 dear", "file old/letter 0644 0:0 dear")
	testenv.Tree(t, older, "file u/empty/x 0644 0:0 older", "file u/mail/m 0600 0:0 older")
	g.tree("file srv/www/x 0644 0:0 live")
	g.root.OldRoots = opening("/home/u/docs:"+docs, "/srv:", "/home:"+home, root, "/home/u/docs:", "/srv:", "/home:"+older, root)
	g.entries(directory("/home/u/docs/old"), directory("/home/u/mail"), owned(directory("/home/u/notes"), 0, 0, 0o755), file("/home/u/conf"),
		directory("/home/u/empty"), directory("/homework"), directory("/srv/www"))
	results := g.mount()
	for path, adopted := range map[string]bool{
		"/home/u/docs/old": true, "/home/u/mail": true, "/home/u/notes": false, "/home/u/conf": true,
		"/home/u/empty": true, "/homework": true, "/srv/www": true,
	} {
		g.requireState(results, path, InPlace)
		if r := results[path]; (r.Adopted != nil) != adopted || r.Adoption != "" {
			t.Errorf("%s: %+v", path, r)
		}
	}
	g.requireContent("home/u/docs/old/letter", "dear")
	g.requireContent("home/u/mail/m", "mail")
	g.requireContent("home/u/conf", "conf")
	g.requireContent("home/u/empty/x", "older")
	g.requireContent("homework/x", "root")
	g.requireContent("srv/www/x", "live")
	g.requireMissing("home/u/notes/n")
}

// What a killed run has left of a staging directory goes away, and what a user
// has put in its place is told.
func TestStaleStagingDirectory(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("file persist/var/.mine.ebb-new/new 0600 1000:100 half", "dir persist/var/.theirs.ebb-new 0755 1000:100")
	g.entries(owned(directory("/var/mine"), 1000, 100, 0o750), owned(directory("/var/theirs"), 1000, 100, 0o750))
	results := g.mount()
	g.requireState(results, "/var/mine", InPlace)
	g.requireStat("persist/var/mine", "dir 0750 1000:100")
	g.requireMissing("persist/var/.mine.ebb-new")
	g.requireState(results, "/var/theirs", Refused)
}

// A directory of root's that a user has given the name of a copy on its way is not
// taken for one, and stays.
func TestAdoptOverRenamed(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.oldRoot("file home/ada/a/data 0644 0:0 new")
	g.tree("dir persist/home/ada 0755 1000:100", "file persist/home/ada/.a.ebb-new/log 0600 0:0 secret")
	g.entries(directory("/home/ada/a"))
	results := g.mount()
	g.requireContent("persist/home/ada/.a.ebb-new/log", "secret")
	if r := results["/home/ada/a"]; !strings.Contains(r.Adoption+r.Reason, "was not left by ebb, remove it") {
		t.Errorf("%+v", r)
	}
}

// What the root itself has is not hidden either where an old root cannot be looked
// into, and the old one is told of.
func TestAdoptOwnWhereOldIsUnknown(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.root.OldRoots = func() ([]OldRoot, error) { return []OldRoot{{Fd: -1, Number: 17}}, unix.EIO }
	g.tree("file srv/a/own 0644 0:0 own")
	g.entries(directory("/srv/a"), directory("/srv/b"))
	results := g.mount()
	g.requireContent("persist/srv/a/own", "own")
	for _, path := range []string{"/srv/a", "/srv/b"} {
		if r := results[path]; r.State != InPlace || !strings.Contains(r.Adoption, "archived root 17") || (r.Adopted != nil) != (path == "/srv/a") {
			t.Errorf("%+v", r)
		}
	}
}

// An empty mount point in the last root that could be looked into is not all that
// there was: what the one behind it has is told of, at later boots, too.
func TestEmptyBeforeUnknown(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	newest := t.TempDir()
	testenv.Tree(t, newest, "dir srv/a")
	g.root.OldRoots = func() ([]OldRoot, error) {
		old, err := opening(newest)()
		return append(old, OldRoot{Fd: -1, Number: 17}), errors.Join(err, unix.EIO)
	}
	g.entries(directory("/srv/a"))
	if r := g.mount()["/srv/a"]; r.State != InPlace || r.Adopted != nil || r.Left != 17 {
		t.Errorf("%+v", r)
	}
	if r := g.root.Check().Entries[0]; r.Left != 17 || !strings.Contains(r.Adoption, "archived root 17") {
		t.Errorf("later: %+v", r)
	}
}
