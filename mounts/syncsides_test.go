package mounts

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestSyncBothSides changes one side or both after they agreed: nothing that
// anybody wrote is lost.
func TestSyncBothSides(t *testing.T) {
	for _, c := range []struct {
		name           string
		source, target int // when it was changed, in seconds from now; 0: not
		byRename       bool
		want, kept     string
	}{
		{name: "target", target: 100, want: "target"},
		{name: "target, with a clock that lies", target: -100000, want: "target"},
		{name: "source", source: 100, want: "source"},
		{name: "source, by rename", source: 100, byRename: true, want: "source", kept: "first"}, // nobody knows that the target did not change
		{name: "both, target last", source: 50, target: 100, want: "target", kept: "source"},
		{name: "both, source last", source: 100, target: 50, want: "source", kept: "target"},
		{name: "both, source last, by rename", source: 100, target: 50, byRename: true, want: "source", kept: "target"},
		{name: "neither", want: "first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGround(t)
			g.tree("file persist/etc/f 0644 0:0 first")
			g.entries(synced("/etc/f"))
			g.mount()
			g.change("persist/etc/f", "source", c.source, c.byRename)
			g.change("etc/f", "target", c.target, true) // as programs do
			results := g.syncBack()
			if c.kept != "" && len(results["/etc/f"].Notes) != 1 {
				t.Errorf("nothing is said: %+v", results["/etc/f"])
			}
			kept := g.conflicts()
			for range 2 { // a further run finds them in agreement
				g.requireContent("persist/etc/f", c.want)
				g.requireContent("etc/f", c.want)
				if kept = g.conflicts(); (c.kept == "") != (len(kept) == 0) || len(kept) > 1 {
					t.Errorf("beside the source are %q", kept)
				}
				g.requireState(g.syncBack(), "/etc/f", Already)
			}
			reason := byPath(g.root.Check())["/etc/f"].Reason
			for _, name := range kept {
				g.requireContent("persist/etc/"+name, c.kept)
				if !strings.Contains(reason, name) {
					t.Errorf("nothing is said of %s: %q", name, reason)
				}
			}
			if len(kept) == 0 && reason != "" {
				t.Errorf("said of nothing: %q", reason)
			}
		})
	}
}

// TestSyncAtBoot: on a root that is not fresh the side that was changed counts,
// whatever the times of the files say, and of two that were the newer one.
func TestSyncAtBoot(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	for _, c := range []struct {
		name           string
		source, target int // as in TestSyncBothSides
		want, kept     string
	}{
		{name: "source, and its time is older", source: -100000, want: "source"},
		{name: "target, and its time is older", target: -100000, want: "target"},
		{name: "both, source last", source: 100, target: 50, want: "source", kept: "target"},
		{name: "both, target last", source: 50, target: 100, want: "target"}, // copying back keeps the other
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGround(t)
			g.tree("file persist/etc/f 0644 0:0 first")
			g.entries(synced("/etc/f"))
			g.mount()
			g.change("persist/etc/f", "source", c.source, false)
			g.change("etc/f", "target", c.target, true)
			for range 2 {
				g.mount()
				g.requireContent("etc/f", c.want)
				if kept := g.conflicts(); (c.kept == "") != (len(kept) == 0) || len(kept) > 1 {
					t.Errorf("beside the source are %q", kept)
				}
			}
			for _, name := range g.conflicts() {
				g.requireContent("persist/etc/"+name, c.kept)
			}
		})
	}
}

// TestSyncTargetIsTakenBack: a power cut takes away the target that the note on the
// source is about, while the note is on the disk of the store. What is there then,
// from before the note, must not count as what a program has changed since. A copy
// of an old root has such a target, too.
func TestSyncTargetIsTakenBack(t *testing.T) {
	testenv.Need(t, testenv.TierRoot) // for the note
	for _, back := range []string{"boot", "sync"} {
		g := newGround(t)
		g.tree("file persist/a/f 0644 0:0 first", "dir old")
		g.entries(synced("/a/f"))
		g.write("old/f", "first")
		if err := os.Chtimes(g.path("old/f"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		time.Sleep((noted + 2) * time.Second) // the note tells no more than seconds
		g.write("persist/a/f", "second")
		g.mount()
		g.requireContent("a/f", "second")
		if err := errors.Join(os.Rename(g.path("a"), g.path("gone")), os.Rename(g.path("old"), g.path("a"))); err != nil {
			t.Fatal(err)
		}
		if back == "boot" {
			g.mount()
		} else {
			g.syncBack()
		}
		g.requireContent("a/f", "second")
		g.requireContent("persist/a/f", "second")
	}
}

// TestSyncTargetIsEmpty: a file that was copied in and is empty after a power cut
// does not empty the one in the store.
func TestSyncTargetIsEmpty(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("file persist/etc/f 0644 0:0 first")
	g.entries(synced("/etc/f"))
	g.mount()
	g.write("etc/f", "")
	g.mount()
	g.requireContent("etc/f", "first")
	g.syncBack()
	g.requireContent("persist/etc/f", "first")
	// A program that empties its file in the running system means it.
	g.write("etc/f", "")
	g.syncBack()
	g.requireContent("persist/etc/f", "")
}

// TestSyncSourceIsBroughtBack: an old copy of the source comes back as cp -a
// brings it, with its times and its note, and counts as changed all the same.
func TestSyncSourceIsBroughtBack(t *testing.T) {
	testenv.Need(t, testenv.TierRoot) // for the note
	g := newGround(t)
	g.tree("file persist/etc/f 0644 0:0 first")
	g.entries(synced("/etc/f"))
	g.mount()
	note := make([]byte, 200)
	n, err := unix.Getxattr(g.path("persist/etc/f"), agreedXattr, note)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(g.path("persist/etc/f"))
	if err != nil {
		t.Fatal(err)
	}
	g.change("etc/f", "second", 10, true)
	g.requireState(g.syncBack(), "/etc/f", InPlace)
	time.Sleep((noted + 2) * time.Second) // the note tells no more than seconds
	g.write("persist/etc/f", "first")
	if err := unix.Setxattr(g.path("persist/etc/f"), agreedXattr, note[:n], 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(g.path("persist/etc/f"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	g.syncBack()
	g.requireContent("persist/etc/f", "second") // the newer one
	g.requireContent("etc/f", "second")
	if kept := g.conflicts(); len(kept) != 1 {
		t.Errorf("beside the source are %q", kept)
	} else {
		g.requireContent("persist/etc/"+kept[0], "first")
	}
}

// TestSyncSourceChangesMode: who changes nothing but the mode of the store's
// copy has changed it.
func TestSyncSourceChangesMode(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("file persist/etc/f 0644 0:0 first")
	g.entries(synced("/etc/f"))
	g.mount()
	time.Sleep((noted + 2) * time.Second)
	if err := os.Chmod(g.path("persist/etc/f"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.syncBack()
	for _, name := range []string{"etc/f", "persist/etc/f"} {
		if info, err := os.Stat(g.path(name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if kept := g.conflicts(); len(kept) > 0 {
		t.Errorf("beside the source are %q", kept)
	}
}

// TestSyncModeIsChanged: who makes a file private, and nothing else, has changed
// it. When the store's copy was changed as well nothing is undone without a word.
func TestSyncModeIsChanged(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	for _, store := range []string{"", "store"} {
		g := newGround(t)
		g.tree("file persist/etc/f 0644 0:0 first")
		g.entries(synced("/etc/f"))
		g.mount()
		if err := os.Chmod(g.path("etc/f"), 0o600); err != nil {
			t.Fatal(err)
		}
		if store != "" {
			g.change("persist/etc/f", store, 100, false)
		}
		result := g.syncBack()["/etc/f"]
		kept := g.conflicts()
		if store == "" {
			if info, err := os.Stat(g.path("persist/etc/f")); err != nil || info.Mode() != 0o600 || len(kept) > 0 {
				t.Errorf("the mode alone: %v, %v, kept %q", info.Mode(), err, kept)
			}
			continue
		}
		g.requireContent("etc/f", store)
		if len(result.Notes) != 1 || len(kept) != 1 {
			t.Fatalf("nothing is said, or kept: %+v, %q", result, kept)
		}
		if info, err := os.Stat(g.path("persist/etc/" + kept[0])); err != nil || info.Mode() != 0o600 {
			t.Errorf("what was kept: %v, %v", info.Mode(), err)
		}
	}
}

// TestSyncXattrs: an attribute that is set on the live file, and nothing else,
// reaches the store; one changed in the store reaches the file. One that the live
// file does not have stays in the store: a root may be of a kind that has none.
func TestSyncXattrs(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	const name = "trusted.note" // tmpfs has user.* since Linux 6.6 only
	g := newGround(t)
	g.tree("file persist/etc/f 0644 0:0 first")
	g.entries(synced("/etc/f"))
	g.mount()
	steps := []struct{ changed, value, other, want string }{
		{"etc/f", "live", "persist/etc/f", "live"},
		{"etc/f", "live again", "persist/etc/f", "live again"},
		{"persist/etc/f", "store", "etc/f", "store"},
		{"etc/f", "", "persist/etc/f", "store"},
	}
	for _, s := range steps {
		if s.changed == "persist/etc/f" {
			time.Sleep((noted + 2) * time.Second) // the note tells no more than seconds
		}
		err := unix.Setxattr(g.path(s.changed), name, []byte(s.value), 0)
		if s.value == "" {
			err = unix.Removexattr(g.path(s.changed), name)
		}
		if err != nil {
			t.Fatal(err)
		}
		g.syncBack()
		value := make([]byte, 64)
		n, err := unix.Getxattr(g.path(s.other), name, value)
		if got := string(value[:max(n, 0)]); got != s.want || err != nil {
			t.Errorf("%+v: %q, %v", s, got, err)
		}
	}
	if kept := g.conflicts(); len(kept) > 0 {
		t.Errorf("kept beside: %q", kept)
	}
}

// TestSyncAgreement: what was written between a copy and the note on it does not
// pass for what the sides agreed about.
func TestSyncAgreement(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	g := newGround(t)
	g.tree("file persist/etc/f 0644 0:0 first", "file etc/f 0644 0:0 first")
	g.setTime("etc/f", 10)
	g.setTime("persist/etc/f", 10)
	for _, late := range []string{"", "late"} {
		file, err := sys.OpenComponent(testenv.OpenDir(t, g.path("persist/etc")), "f", unix.O_PATH)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(file)
		before, err := sys.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if late != "" {
			g.write("persist/etc/f", late)
		}
		agree(file, &before)
		now, _ := sys.Stat(file)
		a, err := readAgreement(file)
		if err != nil || a.fits(&now) != (late == "") {
			t.Errorf("%q: %+v, %v", late, a, err)
		}
	}
}

func (g *ground) change(rel, content string, seconds int, byRename bool) {
	g.t.Helper()
	if seconds == 0 {
		return
	}
	if byRename {
		g.write(rel+".new", content)
		if err := os.Rename(g.path(rel+".new"), g.path(rel)); err != nil {
			g.t.Fatal(err)
		}
	} else {
		g.write(rel, content)
	}
	g.setTime(rel, seconds)
}

// conflicts lists what is beside the source.
func (g *ground) conflicts() (names []string) {
	g.t.Helper()
	all, err := os.ReadDir(g.path("persist/etc"))
	for _, entry := range all {
		if entry.Name() != "f" {
			names = append(names, entry.Name())
		}
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return names
}
