package mounts

import (
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
