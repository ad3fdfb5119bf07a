package mounts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// What is empty and root's alone at the place of somebody's entry is what was made there
// for them: a power cut behind an fsync by another program can leave it so.
func TestAdoptNotWhatWasHalfMade(t *testing.T) {
	g := newGround(t)
	g.oldRoot("dir srv/half 0700", "dir srv/full 0700", "file srv/full/f 0600 0:0 text", "dir srv/open 0711", "dir srv/root 0700",
		"dir srv/group 2700", "file srv/hollow 0600", "file srv/key 0600 0:0 text")
	uid, gid := uint32(1000), uint32(100)
	entries := []config.Entry{directory("/srv/root"), directory("/srv/half"), directory("/srv/full"), directory("/srv/open"), directory("/srv/group"), file("/srv/hollow"), file("/srv/key")}
	for i := range entries[1:] {
		entries[i+1].Owner = config.Owner{UID: &uid, GID: &gid}
	}
	g.entries(entries...)
	for range 2 {
		g.mount()
		g.requireStat("persist/srv/half", "dir 0755 1000:100")
		g.requireStat("persist/srv/full", "dir 0700 0:0")
		g.requireContent("persist/srv/full/f", "text")
		g.requireStat("persist/srv/open", "dir 0711 0:0")
		g.requireStat("persist/srv/root", "dir 0700 0:0")
		g.requireStat("persist/srv/group", "dir 0755 1000:100")
		g.requireStat("persist/srv/hollow", "file 0644 1000:100")
		g.requireStat("persist/srv/key", "file 0600 0:0")
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
