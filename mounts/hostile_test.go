package mounts

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// canary is a tree that nothing may ever change, in the root and in the store.
var canary = []string{
	"file out/shadow 0640 0:0 secret", "dir out/dir 0700 0:0", "file out/dir/file 4755 0:0 setuid",
	"file persist/out/shadow 0640 0:0 secret", "dir persist/out/dir 0700 0:0", "file persist/out/dir/file 4755 0:0 setuid",
}

// hostileCase is something that a user may have left behind, and what becomes
// of entries that meet it.
type hostileCase struct {
	name    string
	tree    []string
	special func(t *testing.T, g *ground) // what a tree cannot describe
	entry   config.Entry
	want    State
	reason  string // in the reason
}

func fileHow(path string, how config.How) config.Entry { return config.Entry{Path: path, How: how} }

func socketAt(rel string) func(*testing.T, *ground) {
	return func(t *testing.T, g *ground) {
		// A path of a socket is short: 108 bytes.
		t.Chdir(g.dir)
		l, err := net.Listen("unix", rel)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
}

func deviceAt(rel string, major, minor uint32) func(*testing.T, *ground) {
	return func(t *testing.T, g *ground) {
		testenv.Need(t, testenv.TierRoot)
		if err := unix.Mknod(g.path(rel), unix.S_IFCHR|0o666, int(unix.Mkdev(major, minor))); err != nil {
			t.Fatal(err)
		}
	}
}

func immutable(rel string) func(*testing.T, *ground) {
	return func(t *testing.T, g *ground) {
		testenv.Need(t, testenv.TierRoot)
		fd, err := unix.Open(g.path(rel), unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, 0)
			unix.Close(fd)
		})
		if err := sys.AddInodeFlags(fd, 0x10); err != nil { // FS_IMMUTABLE_FL
			testenv.Missing(t, testenv.TierRoot, fmt.Errorf("no immutable files here: %w", err))
		}
	}
}

// chain makes links e -> l0 -> l1 ... -> out/dir.
func chain(dir string) (specs []string) {
	to := "out/dir"
	for i := range 41 {
		name := fmt.Sprintf("l%d", i)
		specs = append(specs, "link "+dir+name+" "+to)
		to = name
	}
	return append(specs, "link "+dir+"e "+to)
}

func sourceCases() []hostileCase {
	const link = "symbolic link owned by uid 0"
	return []hostileCase{
		{name: "1 link to /etc", tree: []string{"link persist/e /etc"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "2 link up", tree: []string{"link persist/e .."}, entry: directory("/e"), want: Refused, reason: link},
		{name: "3 link to another", tree: []string{"link persist/e /persist/out/dir"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "3 link to a file", tree: []string{"link persist/e out/shadow"}, entry: file("/e"), want: Refused, reason: link},
		{name: "3 link, as a link", tree: []string{"link persist/e out/shadow"}, entry: fileHow("/e", config.Symlink), want: Refused, reason: link},
		{name: "3 link, copied", tree: []string{"link persist/e out/shadow"}, entry: fileHow("/e", config.Sync), want: Refused, reason: link},
		{name: "4 dangling", tree: []string{"link persist/e nowhere"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "5 loop", tree: []string{"link persist/e e"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "6 chain", tree: chain("persist/"), entry: directory("/e"), want: Refused, reason: link},
		{name: "7 link on the way", tree: []string{"link persist/a out"}, entry: directory("/a/dir"), want: Refused, reason: "/persist/a is a " + link},
		{name: "7 and missing", tree: []string{"link persist/a out"}, entry: directory("/a/new/dir"), want: Refused, reason: link},
		{name: "8 slash at the end", tree: []string{"link persist/e out/dir"}, entry: directory("/e/"), want: Refused, reason: link},
		{name: "9 magic link", tree: []string{"link persist/e /proc/self/root"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "10 FIFO", tree: []string{"fifo persist/e"}, entry: file("/e"), want: Refused, reason: "FIFO"},
		{name: "10 FIFO, copied", tree: []string{"fifo persist/e"}, entry: fileHow("/e", config.Sync), want: Refused, reason: "FIFO"},
		{name: "10 FIFO on the way", tree: []string{"fifo persist/a"}, entry: file("/a/e"), want: Refused, reason: "FIFO"},
		{name: "11 socket", special: socketAt("persist/e"), entry: file("/e"), want: Refused, reason: "socket"},
		{name: "12 device", special: deviceAt("persist/e", 1, 5), entry: file("/e"), want: Refused, reason: "character device"},
		{name: "13 file", tree: []string{"file persist/e"}, entry: directory("/e"), want: Refused, reason: "regular file"},
		{name: "14 directory", tree: []string{"dir persist/e"}, entry: file("/e"), want: Refused, reason: "directory"},
		{
			name: "15 hard link, then chown", tree: []string{"hardlink persist/e persist/out/shadow"},
			entry: owned(file("/e"), 1000, 100, 0o666), want: InPlace,
		},
		{
			name: "16 hard link, then chmod", tree: []string{"hardlink persist/e persist/out/dir/file"},
			entry: owned(file("/e"), 0, 0, 0o777), want: InPlace,
		},
		{
			name: "18 overmount", tree: []string{"dir persist/e"},
			special: func(t *testing.T, g *ground) { mountTmpfs(t, g.path("persist/e")) }, entry: directory("/e"), want: InPlace,
		},
		{name: "dots", entry: directory("/../out/dir"), want: Failed, reason: `".." is not allowed`},
		{name: "no name", entry: directory("//"), want: Failed, reason: "empty name"},
		{name: "a name too long", entry: directory("/" + strings.Repeat("x", 256)), want: Failed, reason: "longer than 255"},
		{name: "a name as long as can be", entry: directory("/" + strings.Repeat("x", 255)), want: InPlace},
		{name: "a name with everything", entry: directory("/a\nb\t\x1b[31m\xff ,\\"), want: InPlace},
	}
}

func targetCases() []hostileCase {
	const link = "symbolic link owned by uid 0"
	source := "file persist/e 0644 0:0 kept"
	return []hostileCase{
		{name: "19 parent leads out", tree: []string{"dir persist/a/dir", "link a out"}, entry: directory("/a/dir"), want: Refused, reason: link},
		{name: "19 and missing", tree: []string{"dir persist/a/b/c", "link a out"}, entry: directory("/a/b/c"), want: Refused, reason: link},
		{name: "19 linked", tree: []string{"link a out"}, entry: fileHow("/a/new", config.Symlink), want: Refused, reason: link},
		{name: "19 copied", tree: []string{"file persist/a/shadow", "link a out"}, entry: fileHow("/a/shadow", config.Sync), want: Refused, reason: link},
		{name: "20 link to a file", tree: []string{source, "link e out/shadow"}, entry: file("/e"), want: Refused, reason: link},
		{name: "20 link to a directory", tree: []string{"dir persist/e", "link e out/dir"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "20 dangling", tree: []string{"dir persist/e", "link e out/new"}, entry: directory("/e"), want: Refused, reason: link},
		{name: "20 linked", tree: []string{source, "link e out/shadow"}, entry: fileHow("/e", config.Symlink), want: Refused, reason: "leads to out/shadow"},
		{name: "20 copied", tree: []string{source, "link e out/shadow"}, entry: fileHow("/e", config.Sync), want: Refused, reason: link},
		{name: "20 link for the copy", tree: []string{source, "link .e.ebb-new out/shadow"}, entry: fileHow("/e", config.Sync), want: InPlace},
		{name: "20 directory for the copy", tree: []string{source, "file .e.ebb-new/x"}, entry: fileHow("/e", config.Sync), want: Failed, reason: "not empty"},
		{name: "21 FIFO", tree: []string{source, "fifo e"}, entry: file("/e"), want: Refused, reason: "FIFO"},
		{name: "21 FIFO, linked", tree: []string{source, "fifo e"}, entry: fileHow("/e", config.Symlink), want: Refused, reason: "FIFO"},
		{name: "21 FIFO, copied", tree: []string{source, "fifo e"}, entry: fileHow("/e", config.Sync), want: Refused, reason: "FIFO"},
		{name: "21 socket", tree: []string{source}, special: socketAt("e"), entry: file("/e"), want: Refused, reason: "socket"},
		{name: "21 device", tree: []string{source}, special: deviceAt("e", 1, 3), entry: file("/e"), want: Refused, reason: "character device"},
		{name: "21 device, copied", tree: []string{source}, special: deviceAt("e", 1, 3), entry: fileHow("/e", config.Sync), want: Refused, reason: "character device"},
		{name: "file for a directory", tree: []string{"dir persist/e", "file e"}, entry: directory("/e"), want: Refused, reason: "regular file"},
		{name: "directory for a file", tree: []string{source, "dir e"}, entry: file("/e"), want: Refused, reason: "is a directory"},
		{name: "22 anybody's parent", tree: []string{"dir persist/a/e 0700", "dir a 0777"}, entry: directory("/a/e"), want: InPlace},
		{name: "22 sticky parent", tree: []string{"dir persist/a/e 0700", "dir a 1777"}, entry: directory("/a/e"), want: InPlace},
		{
			name: "23 parent is a mount", tree: []string{"dir persist/a/e", "dir a"},
			special: func(t *testing.T, g *ground) { mountTmpfs(t, g.path("a")) }, entry: directory("/a/e"), want: InPlace,
		},
		{name: "24 target has attributes", tree: []string{"dir persist/e", "dir e 0711", "xattr e user.x y"}, entry: directory("/e"), want: InPlace},
		{name: "25 immutable parent", tree: []string{"dir persist/a/e", "dir a"}, special: immutable("a"), entry: directory("/a/e"), want: Failed, reason: "not permitted"},
		{name: "25 immutable target", tree: []string{"dir persist/a", "dir a"}, special: immutable("a"), entry: directory("/a"), want: InPlace},
		{name: "26 link in the blank root", tree: []string{"dir persist/home/ada", "link home out"}, entry: directory("/home/ada"), want: Refused, reason: "/home is a " + link},
		{name: "29 whiteout", tree: []string{source}, special: deviceAt("e", 0, 0), entry: file("/e"), want: Refused, reason: "character device"},
	}
}

func TestHostile(t *testing.T) {
	for _, test := range append(sourceCases(), targetCases()...) {
		t.Run(test.name, func(t *testing.T) {
			g := newGround(t)
			g.tree(canary...)
			g.tree(test.tree...)
			if test.special != nil {
				test.special(t, g)
			}
			g.entries(test.entry, directory("/zz-good"))
			rootCanary := testenv.Fingerprint(t, g.path("out"))
			storeCanary := testenv.Fingerprint(t, g.path("persist/out"))
			for range 2 { // the second run is not fooled, either
				results := timed(t, g.mount)
				got := results[test.entry.Path]
				if got.State == Already && test.want == InPlace {
					got.State = InPlace
				}
				if got.State != test.want || !strings.Contains(got.Reason, test.reason) {
					t.Errorf("state %q (%s), want %q with %q", got.State, got.Reason, test.want, test.reason)
				}
				if good := results["/zz-good"]; good.State != InPlace && good.State != Already {
					t.Errorf("the other entry: %+v", good)
				}
				if diff := rootCanary.Diff(testenv.Fingerprint(t, g.path("out"))); diff != "" {
					t.Errorf("changed in the root:\n%s", diff)
				}
				if diff := storeCanary.Diff(testenv.Fingerprint(t, g.path("persist/out"))); diff != "" {
					t.Errorf("changed in the store:\n%s", diff)
				}
				requireMountsOnly(t, g, test.entry.Path, "/zz-good")
			}
			before := testenv.Fingerprint(t, g.dir)
			timed(t, func() map[string]EntryResult { return byPath(g.root.Plan()) })
			timed(t, func() map[string]EntryResult { return byPath(g.root.Check()) })
			if diff := before.Diff(testenv.Fingerprint(t, g.dir)); diff != "" {
				t.Errorf("looking changed:\n%s", diff)
			}
		})
	}
}

// timed fails the test when a run hangs.
func timed(t *testing.T, run func() map[string]EntryResult) map[string]EntryResult {
	t.Helper()
	begin := time.Now()
	done := make(chan map[string]EntryResult, 1)
	go func() { done <- run() }()
	select {
	case results := <-done:
		return results
	case <-time.After(5 * time.Second):
		t.Fatalf("no end after %v", time.Since(begin))
		return nil
	}
}

// requireMountsOnly makes sure that below the root nothing is mounted but the
// file systems of the test, and entries.
func requireMountsOnly(t *testing.T, g *ground, paths ...string) {
	t.Helper()
	mounts, err := ReadMountInfo()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, path := range paths {
		allowed[g.dir+path] = true
	}
	for _, m := range mounts {
		inside := strings.HasPrefix(m.MountPoint, g.dir+"/")
		if inside && m.Root != "/" && !allowed[m.MountPoint] || strings.Contains(m.Root, "/out") {
			t.Errorf("mounted: %s on %s", m.Root, m.MountPoint)
		}
	}
}

// TestHostileSyncBack has the running system meet what users leave at the
// targets of sync entries, and in the store.
func TestHostileSyncBack(t *testing.T) {
	for _, test := range []struct {
		name string
		tree []string
		want State
	}{
		{"target is a link", []string{"link a/e ../out/shadow"}, Refused},
		{"target is a FIFO", []string{"fifo a/e"}, Refused},
		{"target is a directory", []string{"dir a/e"}, Refused},
		{"target lies behind a link", []string{"link a out"}, Refused},
		{"source is a link", []string{"file a/e", "link persist/a/e ../out/shadow"}, Refused},
		{"source lies behind a link", []string{"file a/e", "link persist/a out"}, Refused},
		{"the copy would be a link", []string{"file a/e 0644 0:0 x", "link persist/a/.e.ebb-new ../out/shadow"}, InPlace},
		{"the copy would be a directory", []string{"file a/e 0644 0:0 x", "file persist/a/.e.ebb-new/f"}, Failed},
		{"target is a hard link", []string{"hardlink a/e out/shadow"}, InPlace},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGround(t)
			g.tree(canary...)
			if test.name == "target is a hard link" {
				g.tree("dir a")
			}
			g.tree(test.tree...)
			g.entries(synced("/a/e"))
			rootCanary := testenv.Fingerprint(t, g.path("out"))
			storeCanary := testenv.Fingerprint(t, g.path("persist/out"))
			results := timed(t, func() map[string]EntryResult { return g.syncBack() })
			g.requireState(results, "/a/e", test.want)
			if diff := rootCanary.Diff(testenv.Fingerprint(t, g.path("out"))) + storeCanary.Diff(testenv.Fingerprint(t, g.path("persist/out"))); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

// TestFreshDirectoryIsChecked exchanges a directory that was just made for
// another, which must not be given away.
func TestFreshDirectoryIsChecked(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir empty 0700", "dir full 0700", "file full/x", "dir open 0755")
	for name, fresh := range map[string]bool{"empty": true, "full": false, "open": false} {
		fd := testenv.OpenDir(t, dir+"/"+name)
		if os.Geteuid() != 0 {
			t.Skip("the directories are not root's")
		}
		if err := sys.CheckFresh(fd); (err == nil) != fresh {
			t.Errorf("%s: %v", name, err)
		}
	}
}
