package mounts

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

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
