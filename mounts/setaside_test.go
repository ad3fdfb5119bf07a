package mounts

import (
	"os"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// A link takes the place of a directory, with what is in it, and of a file. What was
// there is what lies beside it: not a copy, and nothing else.
func TestSetAside(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("dir a 0750 7:8", "file a/data 0640 7:8 data", "file b 0600 0:0 data", "file persist/a/data 0640 7:8 data", "file persist/b 0600 0:0 data")
	was := map[string]os.FileInfo{}
	for _, name := range []string{"a", "b"} {
		was[name] = stat(t, g.path(name))
	}
	g.root.SetAside = true
	g.entries(symlinked(directory("/a")), symlinked(file("/b")))
	for path, r := range g.mount() {
		if r.State != InPlace || r.Aside != path+".before-ebb-1" {
			t.Errorf("%s: %+v", path, r)
			continue
		}
		if text, err := os.Readlink(g.path(path)); err != nil || text != "/persist"+path {
			t.Errorf("%s leads to %q (%v)", path, text, err)
		}
		if !os.SameFile(was[path[1:]], stat(t, g.path(r.Aside))) {
			t.Errorf("%s is something else than what was at %s", r.Aside, path)
		}
	}
	g.requireStat("a.before-ebb-1", "dir 0750 7:8")
	for path, r := range g.mount() {
		if r.State != Already || r.Aside != "" {
			t.Errorf("second run: %s: %+v", path, r)
		}
	}
	g.requireMissing("a.before-ebb-2")
}

// What somebody puts there between the look and the exchange is put back.
func TestSetAsideExchanged(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("dir a 0750 7:8", "file a/data 0640 7:8 data", "file persist/a/data 0640 7:8 data", "dir b", "file b/data 0640 0:0 other")
	g.root.SetAside = true
	g.root.Observe = func(s Step) {
		if s.Verb == MakeLink {
			for _, move := range [][2]string{{"a", "c"}, {"b", "a"}} {
				if err := os.Rename(g.path(move[0]), g.path(move[1])); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	g.entries(symlinked(directory("/a")))
	results := g.mount()
	g.requireState(results, "/a", Failed)
	if !strings.Contains(results["/a"].Reason, "was exchanged for a directory of uid 0") {
		t.Errorf("reason: %s", results["/a"].Reason)
	}
	g.requireContent("a/data", "other")
	g.requireContent("c/data", "data")
	g.requireContent("persist/a/data", "data")
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
