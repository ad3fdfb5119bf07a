package btrfs_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestListNested(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir,
		"subvolume @", "subvolume @/var/lib/machines", "subvolume @/var/lib/machines/x", "subvolume @/srv",
		"dir @roots/000041", "subvolume @roots/000041/root", "subvolume nixos", "subvolume nixos/@")
	requireNoError(t, btrfs.Snapshot(f.Open(), "@blank", f.Open("@"), true))
	// Through a mount of one subvolume all others are listed the same.
	for _, dir := range []string{f.Dir, mountSubvolume(t, f, "@/var/lib/machines")} {
		fd := testenv.OpenDir(t, dir)
		requireListed(t, fd, ".", "@", "@/var/lib/machines", "@/var/lib/machines/x", "@/srv",
			"@roots/000041/root", "nixos", "nixos/@", "@blank")
	}
	listing := mustList(t, f.Open())
	for path, id := range paths(t, listing) {
		listed, _ := listing.ByID(id)
		info := mustInfo(t, f.Open(path))
		if listed.ID != info.ID || listed.Name != info.Name || listed.ParentID != info.ParentID ||
			listed.DirectoryID != info.DirectoryID || listed.UUID != info.UUID ||
			listed.ParentUUID != info.ParentUUID || listed.Flags != info.Flags {
			t.Errorf("%s: listed %+v, info %+v", path, listed, info)
		}
	}
	byPath := paths(t, listing)
	if !listing.IsBelow(byPath["@/var/lib/machines/x"], byPath["@"]) || listing.IsBelow(byPath["nixos/@"], byPath["@"]) {
		t.Error("IsBelow is wrong")
	}
}

func TestListAgainstBtrfsProgs(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @/a/b/c", "dir d", "subvolume d/e")
	requireNoError(t, btrfs.Sync(f.Open()))
	want := map[string]string{".": "5"}
	for line := range strings.Lines(runTool(t, "btrfs", "subvolume", "list", f.Dir)) {
		words := strings.Fields(line) // ID 256 gen 7 top level 5 path @
		want[words[8]] = words[1]
	}
	got := paths(t, mustList(t, f.Open()))
	if len(got) != len(want) {
		t.Errorf("listed %v, btrfs-progs list %v", got, want)
	}
	for path, id := range got {
		if strconv.FormatUint(id, 10) != want[path] {
			t.Errorf("%s: %d, btrfs-progs say %s", path, id, want[path])
		}
	}
}

// TestListMany needs more than one search buffer.
func TestListMany(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	const count = 700
	top := f.Open()
	for i := range count {
		requireNoError(t, btrfs.CreateSubvolume(top, fmt.Sprintf("%0100d", i)))
	}
	listing := mustList(t, top)
	if len(listing) != count+1 {
		t.Fatalf("%d subvolumes, want %d", len(listing), count+1)
	}
	for i, subvolume := range listing[1:] {
		if subvolume.Name != fmt.Sprintf("%0100d", i) || subvolume.UUID.IsZero() {
			t.Fatalf("number %d: %+v", i, subvolume)
		}
	}
}

// TestListDeepDirectory hides a subvolume behind a path that is longer than the
// kernel handles: it must be listed, and it must be possible to delete it.
func TestListDeepDirectory(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "dir @/d")
	name := strings.Repeat("x", 250)
	fd := f.Open("@", "d")
	want := "@/d"
	for range 20 {
		requireNoError(t, unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		requireNoError(t, err)
		defer unix.Close(next)
		fd = next
		want += "/" + name
	}
	requireNoError(t, btrfs.CreateSubvolume(fd, "deep"))
	id := mustListNamed(t, f.Open(), "deep")
	root := mustInfo(t, f.Open("@")).ID
	listing := mustList(t, f.Open())
	if got, err := listing.Path(id); err != nil || got != want+"/deep" {
		t.Errorf("path of %d bytes, want %d; %v", len(got), len(want)+5, err)
	}
	if !listing.IsBelow(id, root) {
		t.Error("the deep subvolume is not below @")
	}
	requireError(t, btrfs.DeleteByID(f.Open(), id), unix.ENAMETOOLONG)
	requireError(t, btrfs.DeleteByID(f.Open(), root), unix.ENOTEMPTY)
	requireNoError(t, btrfs.DeleteByName(fd, "deep"))
	requireError(t, btrfs.DeleteByName(fd, "deep"), btrfs.ErrNotFound)
	requireNoError(t, btrfs.DeleteByID(f.Open(), root))
	requireGone(t, f.Path("@"))
}

func mustListNamed(t *testing.T, fd int, name string) uint64 {
	t.Helper()
	for _, subvolume := range mustList(t, fd) {
		if subvolume.Name == name {
			return subvolume.ID
		}
	}
	t.Fatalf("%q is not listed", name)
	return 0
}

// TestListDuringDeletion holds a deleted subvolume open, so that it cannot be
// cleaned up.
func TestListDuringDeletion(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "file a/f 0644 0:0 text", "subvolume b")
	file, err := os.Open(f.Path("a/f"))
	requireNoError(t, err)
	defer file.Close()
	top := f.Open()
	requireNoError(t, btrfs.Sync(top))
	requireNoError(t, btrfs.DeleteByID(top, mustInfo(t, f.Open("a")).ID))
	requireListed(t, top, ".", "b")
	requireNoError(t, btrfs.Sync(top))
	requireListed(t, top, ".", "b")
	_, err = btrfs.Info(int(file.Fd()))
	requireError(t, err, btrfs.ErrNotFound)
}

func TestListNeedsPrivileges(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	requireListed(t, f.Open(), ".")
	top := f.Open()
	err := withoutAdmin(func() error {
		_, err := btrfs.List(top)
		return err
	})
	requireError(t, err, unix.EPERM)
	if !strings.Contains(err.Error(), "search tree 1") || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
		t.Errorf("error %q does not explain itself", err)
	}
}
