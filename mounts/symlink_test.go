package mounts

import (
	"os"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func symlinked(e config.Entry) config.Entry {
	e.How = config.Symlink
	return e
}

func TestSymlink(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("file persist/etc/ssh/key 0600 0:0 secret", "dir persist/home/ada 0700 1000:100", "file persist/home/ada/.bashrc 0644 1000:100")
	g.entries(symlinked(file("/etc/ssh/key")), symlinked(file("/etc/missing")),
		symlinked(directory("/var/lib/app")), symlinked(file("/home/ada/.bashrc")))
	for path, r := range g.mount() {
		if r.State != InPlace {
			t.Errorf("%s: %+v", path, r)
		}
		if text, err := os.Readlink(g.path(path)); err != nil || text != "/persist"+path {
			t.Errorf("%s leads to %q (%v)", path, text, err)
		}
	}
	g.requireStat("etc/ssh/key", "link 0777 0:0")
	g.requireStat("home/ada/.bashrc", "link 0777 1000:100")
	g.requireStat("home/ada", "dir 0700 1000:100")
	g.requireStat("persist/var/lib/app", "dir 0755 0:0")
	g.requireMissing("persist/etc/missing") // its program makes it
	before := testenv.Fingerprint(t, g.dir)
	for path, r := range g.mount() {
		if r.State != Already {
			t.Errorf("second run: %s: %+v", path, r)
		}
	}
	if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
		t.Errorf("the second run changed:\n%s", diff)
	}
}

func TestSymlinkRefused(t *testing.T) {
	g := newGround(t)
	g.tree("link a /elsewhere", "file b 0640 0:0 data", "dir c", "file c/data", "fifo d", "link e/f ..", "file persist/b 0600")
	g.entries(symlinked(file("/a")), symlinked(file("/b")), symlinked(directory("/c")),
		symlinked(file("/d")), symlinked(file("/e/f/g")))
	before := testenv.Fingerprint(t, g.dir)
	results := g.mount()
	wants := map[string]string{
		"/a": "it leads to /elsewhere", "/b": "move it away", "/c": "its data is in the store now",
		"/d": "FIFO", "/e/f/g": "symbolic link owned by uid",
	}
	for path, want := range wants {
		g.requireState(results, path, Refused)
		if !strings.Contains(results[path].Reason, want) {
			t.Errorf("%s: reason %q, want %q", path, results[path].Reason, want)
		}
	}
	g.requireContent("persist/c/data", "")
	after := testenv.Fingerprint(t, g.dir)
	for path := range after {
		if strings.HasPrefix(path, "persist") {
			delete(after, path)
			delete(before, path)
		}
	}
	if diff := before.Diff(after); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
}

// The link of a root that is kept may have outlived its source.
func TestSymlinkWithoutSource(t *testing.T) {
	g := newGround(t)
	g.tree("dir persist/var", "dir var")
	e := config.Entry{Path: "/var/d", Directory: true, How: config.Symlink}
	g.entries(e)
	g.requireState(g.mount(), "/var/d", InPlace)
	if err := os.Remove(g.path("persist/var/d")); err != nil {
		t.Fatal(err)
	}
	wantCheck := func(want State) {
		t.Helper()
		if e := g.root.Check().Entries[0]; e.State != want {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	wantCheck(Missing)
	g.requireState(g.mount(), "/var/d", Already)
	wantCheck(InPlace)
}
