package copytree

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestShared copies on btrfs: data is shared, also that of files without
// copy-on-write, and subvolumes become directories.
func TestShared(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "dir d", "subvolume d/s 0700 3:4", "file d/nocow", "file d/s/inner 0644 0:0 "+strings.Repeat("x", 9000))
	nocow, err := os.OpenFile(f.Path("d/nocow"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer nocow.Close()
	if err := sys.AddInodeFlags(int(nocow.Fd()), sys.NoCOW); err != nil {
		t.Fatal(err)
	}
	if _, err := nocow.WriteString(strings.Repeat("y", 1<<20)); err != nil {
		t.Fatal(err)
	}
	stats, err := copyOf(t, f.Dir, "d", "copy", Options{Limit: Limit{Copied: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Copied != 0 || stats.Shared != 1<<20+9000 {
		t.Errorf("%+v", stats)
	}
	inventory := testenv.Fingerprint(t, f.Path("copy"))
	if !strings.HasPrefix(inventory["s"], "dir 0700 3:4") {
		t.Errorf("the subvolume became %s", inventory["s"])
	}
	file, err := os.Open(f.Path("copy/nocow"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if flags, err := sys.InodeFlags(int(file.Fd())); err != nil || flags&sys.NoCOW == 0 {
		t.Errorf("flags of the copy: %#x (%v)", flags, err)
	}
}

// TestOtherFileSystem copies from btrfs to a tmpfs, where nothing can be
// shared.
func TestOtherFileSystem(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "file d/a 0644 0:0 "+strings.Repeat("a", 100_000))
	other := t.TempDir()
	if err := unix.Mount("test", other, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(other, unix.MNT_DETACH)
	source := testenv.OpenDir(t, f.Path("d"))
	_, stats, err := Copy(source, testenv.OpenDir(t, other), "copy", Options{Limit: Limit{Copied: 99_999}})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("beyond the limit: %v, %+v", err, stats)
	}
	fd, stats, err := Copy(source, testenv.OpenDir(t, other), "copy", Options{Limit: Limit{Copied: 100_000}})
	if err != nil || stats.Copied != 100_000 || stats.Shared != 0 {
		t.Fatalf("%v, %+v", err, stats)
	}
	unix.Close(fd)
	want, got := testenv.Fingerprint(t, f.Path("d")), testenv.Fingerprint(t, filepath.Join(other, "copy"))
	if diff := want.Diff(got); diff != "" {
		t.Errorf("the copy differs:\n%s", diff)
	}
}
