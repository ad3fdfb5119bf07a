package mounts

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSyncLongName: there is room for the name of what is kept.
func TestSyncLongName(t *testing.T) {
	for _, length := range []int{10, 230, 255} {
		name := strings.Repeat("n", length)
		got := conflictName(name, 1<<40)
		if len(got)+len("-100") > 255 || !strings.HasPrefix(got, name[:min(length, 200)]) || !strings.HasSuffix(got, conflictMark+"1099511627776") {
			t.Errorf("%d: %q", length, got)
		}
		if !isConflictOf(got, name) || !isConflictOf(got+"-1", name) || isConflictOf(got, "x"+name) || isConflictOf(name, name) {
			t.Errorf("%d: %q is not known for what it is", length, got)
		}
	}
	if isConflictOf("f"+conflictMark+"1", "f.conf") {
		t.Error("what is kept beside f is said of f.conf")
	}
}

// TestSyncLongNameIsSaid: what was kept under a shortened name is said, too.
func TestSyncLongNameIsSaid(t *testing.T) {
	g := newGround(t)
	name := strings.Repeat("n", 240)
	g.tree("file persist/etc/" + name + " 0644 0:0 first")
	g.entries(synced("/etc/" + name))
	g.mount()
	g.change("persist/etc/"+name, "source", 50, false)
	g.change("etc/"+name, "target", 100, true)
	g.syncBack()
	if reason := byPath(g.root.Check())["/etc/"+name].Reason; !strings.Contains(reason, conflictMark) {
		t.Errorf("nothing is said: %q", reason)
	}
}

// TestSyncFullStore: a store that is full keeps the copy that it has, it is
// said why, and the next run copies when there is room.
func TestSyncFullStore(t *testing.T) {
	g := newGround(t)
	g.tree("file persist/etc/f 0640 7:8 first")
	g.entries(synced("/etc/f"))
	g.mount()
	g.resizeStore("256k")
	g.write("persist/filler", strings.Repeat("x", 160<<10))
	more := strings.Repeat("more", 40<<10)
	g.change("etc/f", more, 10, true)
	result := g.syncBack()["/etc/f"]
	if result.State != Failed || !strings.Contains(result.Reason, unix.ENOSPC.Error()) {
		t.Errorf("a full store: %s, %q", result.State, result.Reason)
	}
	g.requireContent("persist/etc/f", "first")
	if left := g.conflicts(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	g.resizeStore("4m")
	g.requireState(g.syncBack(), "/etc/f", InPlace)
	g.requireContent("persist/etc/f", more)
}

func (g *ground) resizeStore(size string) {
	g.t.Helper()
	if err := unix.Mount("test", g.path("persist"), "tmpfs", unix.MS_REMOUNT, "mode=0755,size="+size); err != nil {
		g.t.Fatal(err)
	}
}

// change gives a file other contents, unless the time is 0.
