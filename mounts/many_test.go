package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestMany brings 5,000 entries into place, with few descriptors.
func TestMany(t *testing.T) {
	const count = 5000
	g := newGround(t)
	g.root.Observe = nil
	g.root.Utab = filepath.Join(t.TempDir(), "utab")
	g.entries(manyEntries(t, g.path("persist"), count)...)
	limitDescriptors(t, 24)
	for _, want := range []State{InPlace, Already} {
		for path, r := range g.mount() {
			if r.State != want || len(r.Notes) > 0 {
				t.Fatalf("%s: %+v", path, r)
			}
		}
	}
	utab, err := os.ReadFile(g.root.Utab)
	if lines := strings.Count(string(utab), "OPTS=x-initrd.mount\n"); err != nil || lines != count {
		t.Errorf("%d lines in utab (%v)", lines, err)
	}
	if left := openDescriptors(t); left > 20 {
		t.Errorf("%d descriptors are open", left)
	}
}

// limitDescriptors allows so many more descriptors than are open.
func limitDescriptors(t *testing.T, more int) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = uint64(openDescriptors(t) + more)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestDeepEntries has entries so deep that the directories above them are not
// all kept open, in two branches, so that the walk goes back up.
func TestDeepEntries(t *testing.T) {
	const depth = 60
	g := newGround(t)
	var entries []config.Entry
	for i := range 20 {
		dir := strings.Repeat(fmt.Sprintf("/d%d", i%2), depth)
		entries = append(entries, directory(fmt.Sprintf("%s/e%d", dir, i)))
	}
	shallow := strings.Repeat("/d0", 5)
	entries = append(entries, directory(shallow+"/e"))
	g.tree("dir persist" + shallow + " 0711")
	g.entries(entries...)
	limitDescriptors(t, 30)
	for path, r := range g.mount() {
		if r.State != InPlace {
			t.Errorf("%s: %+v", path, r)
		}
		g.requireSame(path[1:], "persist"+path)
	}
	g.requireStat(shallow[1:], "dir 0711")
	g.requireStat(shallow[1:]+"/d0", "dir 0755")
	for path, r := range g.mount() {
		if r.State != Already {
			t.Errorf("second run: %s: %+v", path, r)
		}
	}
}

// Of many old roots each takes the descriptor of its top directory, and no more.
func TestManyOldRoots(t *testing.T) {
	const count = 64
	g := newGround(t)
	dirs := make([]string, count)
	for i := range dirs {
		dirs[i] = t.TempDir()
		testenv.Tree(t, dirs[i], "dir var/lib/app/data/db")
	}
	testenv.Tree(t, dirs[count-1], "file var/lib/app/data/db/file 0644 0:0 old", "file var/lib/app/data/log/file 0644 0:0 old")
	g.root.OldRoots = opening(dirs...)
	g.entries(directory("/var/lib/app/data/db"), directory("/var/lib/app/data/log"), directory("/var/lib/none"))
	limitDescriptors(t, count+40)
	g.mount()
	g.requireContent("persist/var/lib/app/data/db/file", "old")
	g.requireContent("persist/var/lib/app/data/log/file", "old")
	g.requireStat("persist/var/lib/none", "dir 0755")
}

// TestNoDescriptors ends cleanly where not one more can be opened.
func TestNoDescriptors(t *testing.T) {
	g := newGround(t)
	g.tree("dir persist/a/b")
	g.entries(directory("/a/b"))
	for more := range 12 {
		func() {
			var old unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
				t.Fatal(err)
			}
			few := old
			few.Cur = uint64(openDescriptors(t) - 1 + more)
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
				t.Fatal(err)
			}
			defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
			r := byPath(g.root.Mount())["/a/b"]
			if r.State != Failed && r.State != InPlace && r.State != Already {
				t.Errorf("with %d descriptors: %+v", more, r)
			}
		}()
	}
	g.requireState(g.mount(), "/a/b", Already)
}
