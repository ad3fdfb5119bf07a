package btrfs_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestCreateSubvolume(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	top := f.Open()
	longest := strings.Repeat("x", 255)
	for _, name := range []string{"@", ".next", longest, "\xff\n "} {
		requireNoError(t, btrfs.CreateSubvolume(top, name))
		fd := f.Open(name)
		if is, err := btrfs.IsSubvolume(fd); err != nil || !is {
			t.Errorf("%q is a subvolume: %v, %v", name, is, err)
		}
		if info := mustInfo(t, fd); info.Name != name || info.ParentID != btrfs.TopLevelID {
			t.Errorf("%q: %+v", name, info)
		}
	}
	requireError(t, btrfs.CreateSubvolume(top, "@"), unix.EEXIST)
	for _, name := range []string{"", "..", "a/b", "a\x00", longest + "x"} {
		requireError(t, btrfs.CreateSubvolume(top, name), btrfs.ErrBadName)
	}
	// A bad name leaves nothing behind, the length check of the kernel
	// included.
	if got := len(mustList(t, top)); got != 5 {
		t.Errorf("%d subvolumes, want 5", got)
	}
}

func TestSnapshot(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "file @/etc/hostname 0644 0:0 ebb", "subvolume @/nested", "dir d", "dir @/sub")
	top := f.Open()
	for _, readOnly := range []bool{true, false} {
		name := map[bool]string{true: "readonly", false: "writable"}[readOnly]
		requireNoError(t, btrfs.Snapshot(top, name, f.Open("@"), readOnly))
		fd := f.Open(name)
		info, source := mustInfo(t, fd), mustInfo(t, f.Open("@"))
		if info.ParentUUID != source.UUID || info.UUID == source.UUID || info.UUID.IsZero() {
			t.Errorf("%s: uuid %v, of %v, source %v", name, info.UUID, info.ParentUUID, source.UUID)
		}
		flags, err := btrfs.GetFlags(fd)
		if err != nil || flags.IsReadOnly() != readOnly || info.Flags.IsReadOnly() != readOnly {
			t.Errorf("%s: flags %v, info %v, %v", name, flags, info.Flags, err)
		}
		content, err := os.ReadFile(f.Path(name, "etc/hostname"))
		if err != nil || string(content) != "ebb" {
			t.Errorf("%s: content %q, %v", name, content, err)
		}
		if is, err := btrfs.IsSubvolume(f.Open(name, "nested")); err != nil || is {
			t.Errorf("%s: the nested subvolume came along (%v)", name, err)
		}
		err = os.WriteFile(f.Path(name, "new"), nil, 0o600)
		if readOnly != errors.Is(err, unix.EROFS) || !readOnly && err != nil {
			t.Errorf("%s: write: %v", name, err)
		}
	}
	requireError(t, btrfs.Snapshot(top, "writable", f.Open("@"), false), unix.EEXIST)
	requireError(t, btrfs.Snapshot(top, "a/b", f.Open("@"), false), btrfs.ErrBadName)
	requireError(t, btrfs.Snapshot(top, "of-directory", f.Open("@", "sub"), false), btrfs.ErrNotSubvolume)
	requireGone(t, f.Path("of-directory"))
	requireError(t, btrfs.CreateSubvolume(f.Open("readonly"), "inside"), unix.EROFS)
	requireError(t, btrfs.Snapshot(f.Open("readonly"), "inside", f.Open("@"), false), unix.EROFS)
}

func TestSnapshotToAnotherFileSystem(t *testing.T) {
	f, other := testenv.Btrfs(t, testenv.BtrfsOptions{}), testenv.Btrfs(t, testenv.BtrfsOptions{})
	requireError(t, btrfs.Snapshot(other.Open(), "a", f.Open(), false), unix.EXDEV)
	requireGone(t, other.Path("a"))
}

func TestDeleteByID(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume old", "subvolume old/a/b", "subvolume old/a/b/c", "subvolume old/z", "subvolume keep")
	top := f.Open()
	listing := mustList(t, top)
	byPath := paths(t, listing)
	old := byPath["old"]

	err := btrfs.DeleteByID(top, old)
	requireError(t, err, unix.ENOTEMPTY)
	if !strings.Contains(err.Error(), "other subvolumes inside") {
		t.Errorf("error %q does not explain itself", err)
	}
	requireThere(t, f.Path("old/a/b/c"))

	descendants, err := listing.Descendants(old)
	requireNoError(t, err)
	if len(descendants) != 3 {
		t.Fatalf("descendants: %+v", descendants)
	}
	for _, subvolume := range descendants {
		requireNoError(t, btrfs.DeleteByID(top, subvolume.ID))
	}
	requireNoError(t, btrfs.DeleteByID(top, old))
	requireGone(t, f.Path("old"))
	requireThere(t, f.Path("keep"))
	requireListed(t, top, ".", "keep")

	requireError(t, btrfs.DeleteByID(top, old), btrfs.ErrNotFound)
	requireNoError(t, btrfs.Sync(top))
	requireListed(t, top, ".", "keep")
	requireError(t, btrfs.DeleteByID(top, old), btrfs.ErrNotFound)
	f.Remount()
	requireListed(t, f.Open(), ".", "keep")
	requireGone(t, f.Path("old"))
}

func requireListed(t *testing.T, fd int, want ...string) {
	t.Helper()
	got := paths(t, mustList(t, fd))
	if len(got) != len(want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	for _, path := range want {
		if got[path] == 0 {
			t.Errorf("listed %v, %q is missing", got, path)
		}
	}
}

func TestDeleteByIDRefusals(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "file a/f")
	top := f.Open()
	for _, id := range []uint64{0, 1, btrfs.TopLevelID, 255, 1<<64 - 9, 1<<64 - 1} {
		requireError(t, btrfs.DeleteByID(top, id), unix.EINVAL)
	}
	requireError(t, btrfs.DeleteByID(top, 999), btrfs.ErrNotFound)
	requireError(t, btrfs.DeleteByID(testenv.OpenDir(t, "/proc"), 256), btrfs.ErrNotBtrfs)
	requireThere(t, f.Path("a/f"))
}

func TestDeleteByName(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "subvolume a/b", "file a/f", "dir d")
	top := f.Open()
	requireError(t, btrfs.DeleteByName(top, "a"), unix.ENOTEMPTY)
	requireNoError(t, btrfs.DeleteByName(f.Open("a"), "b"))
	requireThere(t, f.Path("a/f"))
	requireNoError(t, btrfs.DeleteByName(top, "a"))
	requireGone(t, f.Path("a"))
	requireError(t, btrfs.DeleteByName(top, "a"), btrfs.ErrNotFound)
	requireError(t, btrfs.DeleteByName(top, "d"), unix.EINVAL)
	requireError(t, btrfs.DeleteByName(top, "d/x"), btrfs.ErrBadName)
	requireThere(t, f.Path("d"))
}

// TestDeleteByIDOutsideOfMount deletes through a mount that does not show what
// is deleted, and what is mounted itself, read-only and all.
func TestDeleteByIDOutsideOfMount(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume shown", "subvolume hidden", "file hidden/f")
	id := mustInfo(t, f.Open("hidden")).ID
	requireNoError(t, btrfs.SetReadOnly(f.Open("hidden"), true))
	shown, hidden := mountSubvolume(t, f, "shown"), mountSubvolume(t, f, "hidden")
	requireThere(t, hidden+"/f")
	requireNoError(t, btrfs.DeleteByID(testenv.OpenDir(t, shown), id))
	requireGone(t, f.Path("hidden"))
	requireListed(t, f.Open(), ".", "shown")
}

func mountSubvolume(t *testing.T, f *testenv.Fixture, subvolume string) string {
	t.Helper()
	dir := t.TempDir()
	requireNoError(t, unix.Mount(f.Device(), dir, "btrfs", 0, "subvol="+subvolume))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestDeletedIDComesBack shows why a subvolume is known by its uuid alone.
func TestDeletedIDComesBack(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a")
	before := mustInfo(t, f.Open("a"))
	requireNoError(t, btrfs.DeleteByID(f.Open(), before.ID))
	requireNoError(t, btrfs.Sync(f.Open())) // hands it to the clean-up
	for range 3 {
		f.Remount()
	}
	testenv.Tree(t, f.Dir, "subvolume b")
	after := mustInfo(t, f.Open("b"))
	t.Logf("id %d uuid %v, then id %d uuid %v", before.ID, before.UUID, after.ID, after.UUID)
	if after.UUID == before.UUID || after.UUID.IsZero() {
		t.Error("the uuid came back")
	}
}

func TestDefaultSubvolume(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a")
	top := f.Open()
	if id, err := btrfs.DefaultSubvolumeID(top); err != nil || id != btrfs.TopLevelID {
		t.Errorf("default %d, %v; want the top level", id, err)
	}
	id := mustInfo(t, f.Open("a")).ID
	runTool(t, "btrfs", "subvolume", "set-default", f.Path("a"))
	if got, err := btrfs.DefaultSubvolumeID(top); err != nil || got != id {
		t.Errorf("default %d, %v; want %d", got, err, id)
	}
	err := btrfs.DeleteByID(top, id)
	requireError(t, err, unix.EPERM)
	if !strings.Contains(err.Error(), "default subvolume") {
		t.Errorf("error %q does not explain itself", err)
	}
	requireThere(t, f.Path("a"))
	runTool(t, "btrfs", "subvolume", "set-default", "5", f.Dir)
	requireNoError(t, btrfs.DeleteByID(top, id))
	requireGone(t, f.Path("a"))
}

func TestActiveSwapFile(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a")
	top := f.Open()
	runTool(t, "btrfs", "filesystem", "mkswapfile", "--size", "8m", f.Path("a/swap"))
	runTool(t, "swapon", f.Path("a/swap"))
	swapOff := func() { runTool(t, "swapoff", f.Path("a/swap")) }
	id := mustInfo(t, f.Open("a")).ID
	err := btrfs.Snapshot(top, "b", f.Open("a"), false)
	deleteErr := btrfs.DeleteByID(top, id)
	swapOff()
	requireError(t, err, unix.ETXTBSY)
	requireError(t, deleteErr, unix.EPERM)
	requireNoError(t, btrfs.Snapshot(top, "b", f.Open("a"), false))
	requireNoError(t, btrfs.DeleteByID(top, id))
}
