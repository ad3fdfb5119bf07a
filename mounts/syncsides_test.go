package mounts

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// TestSyncLongName: there is room for the name of what is kept.
func TestSyncLongName(t *testing.T) {
	for _, length := range []int{10, 230, 255} {
		name := strings.Repeat("n", length)
		got := conflictName(name, 1<<40)
		if len(got)+len("-100") > 255 || !strings.HasPrefix(got, name[:min(length, 200)]) || !strings.HasSuffix(got, conflictMark+"1099511627776") {
			t.Errorf("%d: %q", length, got)
		}
	}
}

// change gives a file other contents, unless the time is 0.
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
