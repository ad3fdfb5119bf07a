package btrfs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// What a rollback relies on: the kernel's handling of renamed subvolumes.

func exchange(f *testenv.Fixture, one, other string) error {
	return unix.Renameat2(unix.AT_FDCWD, f.Path(one), unix.AT_FDCWD, f.Path(other), unix.RENAME_EXCHANGE)
}

func rename(f *testenv.Fixture, from, to string) error {
	return unix.Renameat2(unix.AT_FDCWD, f.Path(from), unix.AT_FDCWD, f.Path(to), unix.RENAME_NOREPLACE)
}

func TestExchangeKeepsBoth(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir,
		"subvolume @", "file @/f 0644 0:0 old", "subvolume @/var/lib/machines", "file @/var/lib/machines/m",
		"dir @roots/.next", "subvolume @roots/.next/root", "file @roots/.next/root/f 0644 0:0 new")
	old, fresh := mustInfo(t, f.Open("@")), mustInfo(t, f.Open("@roots/.next/root"))
	oldTree := testenv.Fingerprint(t, f.Path("@"))
	mounted := mountSubvolume(t, f, "@")

	requireNoError(t, exchange(f, "@", "@roots/.next/root"))
	requireNoError(t, rename(f, "@roots/.next", "@roots/000001"))

	if now := mustInfo(t, f.Open("@")); now.UUID != fresh.UUID || now.Name != "@" {
		t.Errorf("@ is %+v, want %v", now, fresh.UUID)
	}
	if now := mustInfo(t, f.Open("@roots/000001/root")); now.UUID != old.UUID || now.Name != "root" {
		t.Errorf("archived is %+v, want %v", now, old.UUID)
	}
	requireListed(t, f.Open(), ".", "@", "@roots/000001/root", "@roots/000001/root/var/lib/machines")
	if diff := oldTree.Diff(testenv.Fingerprint(t, f.Path("@roots/000001/root"))); diff != "" {
		t.Errorf("the old root changed:\n%s", diff)
	}
	requireThere(t, mounted+"/var/lib/machines/m") // the mount stays with the old root
	requireNoError(t, unix.Unmount(mounted, 0))

	requireNoError(t, btrfs.Sync(f.Open()))
	f.Remount()
	if now := mustInfo(t, f.Open("@")); now.UUID != fresh.UUID {
		t.Errorf("after a remount @ is %v, want %v", now.UUID, fresh.UUID)
	}
}

func TestReadOnlySubvolumeStaysInItsDirectory(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "subvolume b", "dir d", "subvolume d/c")
	requireNoError(t, btrfs.SetReadOnly(f.Open("a"), true))

	requireError(t, rename(f, "a", "d/a"), unix.EROFS)
	requireError(t, exchange(f, "a", "d/c"), unix.EROFS)
	requireThere(t, f.Path("a"))
	requireThere(t, f.Path("d/c"))
	requireNoError(t, rename(f, "a", "e"))
	requireNoError(t, exchange(f, "e", "b"))
	if info := mustInfo(t, f.Open("b")); !info.Flags.IsReadOnly() {
		t.Errorf("b after the exchange: %+v", info)
	}

	requireNoError(t, btrfs.SetReadOnly(f.Open("b"), false))
	requireNoError(t, rename(f, "b", "d/a"))
	requireThere(t, f.Path("d/a"))
}

func TestExchangeRefusals(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "subvolume a/inside", "subvolume b", "dir b/directory")
	requireError(t, exchange(f, "a", "a/inside"), unix.EINVAL)
	requireError(t, exchange(f, "a", "missing"), unix.ENOENT)
	requireError(t, exchange(f, "a", "b/directory"), unix.EXDEV)
	requireError(t, rename(f, "a", "b"), unix.EEXIST)
	requireListed(t, f.Open(), ".", "a", "a/inside", "b")
}
