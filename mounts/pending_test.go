package mounts

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func named(e config.Entry, user, group string, mode uint32) config.Entry {
	e.Owner = config.Owner{User: user, Group: group}
	e.Mode = &mode
	return e
}

// TestNames has one source of names after the other know a user.
func TestNames(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree(`file persist/var/lib/nixos/uid-map 0644 0:0 {"app":11,"both":12}`, `file persist/var/lib/nixos/gid-map 0644 0:0 {"app":21}`,
		"file etc/passwd 0644 0:0 both:x:99:99::/:/bin/sh\nada:x:1000:100::/home/ada:/bin/sh\n", "file etc/group 0644 0:0 users:x:100:\n")
	number := named(directory("/number"), "app", "app", 0o755)
	number.Owner.UID = number32(7)
	g.entries(named(directory("/app"), "app", "app", 0o750), named(directory("/both"), "both", "root", 0o755),
		named(directory("/ada"), "ada", "users", 0o700), named(directory("/user"), "ada", "", 0o755), number)
	for path, r := range g.mount() {
		if r.State != InPlace {
			t.Errorf("%s: %+v", path, r)
		}
	}
	g.requireStat("app", "dir 0750 11:21")
	g.requireStat("both", "dir 0755 12:0")
	g.requireStat("ada", "dir 0700 1000:100")
	g.requireStat("user", "dir 0755 1000:0")
	g.requireStat("number", "dir 0755 7:21")
}

// TestNamesBehindLinks has the files of names be links and FIFOs, which are
// neither followed nor waited for.
func TestNamesBehindLinks(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("file real 0644 0:0 ada:x:1000:100:\n", "link etc/passwd ../real", "fifo etc/group",
		"fifo persist/var/lib/nixos/uid-map", "link persist/var/lib/nixos/gid-map /real")
	g.entries(named(directory("/ada"), "ada", "users", 0o755))
	g.requireState(g.mount(), "/ada", Pending)
	g.requireStat("persist/ada", "dir 0700 0:0")
}

func TestFinish(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("dir persist/existing 0755")
	below := named(directory("/home/ada/data/x"), "ada", "users", 0o750)
	g.entries(named(directory("/app"), "app", "app", 0o2755), named(file("/file"), "app", "", 0o644), below,
		named(directory("/never"), "nobody-known", "", 0o755), named(directory("/taken"), "app", "", 0o755), directory("/existing"))
	results := g.mount()
	for path, r := range results {
		want := Pending
		if path == "/existing" {
			want = InPlace
		}
		if r.State != want {
			t.Errorf("%s: %+v", path, r)
		}
	}
	g.requireStat("app", "dir 0700 0:0")
	g.requireStat("file", "file 0600 0:0")
	if err := os.Chown(g.path("taken"), 5, 5); err != nil {
		t.Fatal(err)
	}
	g.requireState(byPath(g.root.Check()), "/app", Pending)
	g.requireState(byPath(g.root.Finish()), "/app", Pending) // still nobody

	g.tree("file etc/passwd 0644 0:0 app:x:11:22::/:\nada:x:1000:100::/home/ada:\n", "file etc/group 0644 0:0 app:x:22:\nusers:x:100:\n")
	unfinished := testenv.Fingerprint(t, g.dir)
	results = byPath(g.root.PlanFinish())
	g.requireState(results, "/never", Pending)
	if steps := results["/app"].Steps; len(steps) != 1 || steps[0] != "giving /persist/app to 11:22 2755" {
		t.Errorf("planned: %q", steps)
	}
	if diff := unfinished.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
		t.Errorf("planning has changed:\n%s", diff)
	}
	results = byPath(g.root.Finish())
	g.requireState(results, "/app", InPlace)
	g.requireState(results, "/never", Pending)
	g.requireState(results, "/existing", Already)
	g.requireStat("app", "dir 2755 11:22")
	g.requireStat("file", "file 0644 11:0")
	g.requireStat("home/ada", "dir 0700 1000:100")
	g.requireStat("home/ada/data", "dir 0755 1000:100")
	g.requireStat("home/ada/data/x", "dir 0750 1000:100")
	g.requireStat("persist/home/ada", "dir 0700 1000:100")
	g.requireStat("never", "dir 0700 0:0")
	g.requireStat("taken", "dir 0700 5:5")
	for _, name := range []string{"app", "file", "home/ada", "taken"} {
		if _, err := unix.Lgetxattr(g.path("persist/"+name), pendingXattr, nil); err != unix.ENODATA {
			t.Errorf("%s still has the note (%v)", name, err)
		}
	}
	before := testenv.Fingerprint(t, g.dir)
	g.requireState(byPath(g.root.Finish()), "/app", Already)
	if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
		t.Errorf("the second run changed:\n%s", diff)
	}
}
