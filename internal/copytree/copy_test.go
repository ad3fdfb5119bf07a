package copytree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

// everything is a tree with one of each; the owners need root.
var everything = []string{
	"dir d 0750 1000:100", "file d/f 0640 1000:100 some text", "file d/setid 4755 0:0 x",
	"link d/l ../../etc/shadow", "link d/dangling nowhere", "hardlink d/h d/f",
	"dir d/sub 1777 3:4", "hardlink d/sub/h2 d/f", "fifo d/sub/p 0620 5:6",
	"file d/empty 0000", "xattr d/f user.note hello", "xattr d user.dir yes",
	"xattr d/f trusted.t secret", "xattr d trusted.ebb.owner x:y:0700",
}

func copyOf(t *testing.T, dir, from, to string, o Options) (Stats, error) {
	t.Helper()
	source, err := unix.Open(filepath.Join(dir, from), unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(source)
	fd, stats, err := Copy(source, testenv.OpenDir(t, dir), to, o)
	if err == nil {
		unix.Close(fd)
	}
	return stats, err
}

func TestCopyEverything(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	dir := t.TempDir()
	testenv.Tree(t, dir, everything...)
	device := filepath.Join(dir, "d/null")
	if err := unix.Mknod(device, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(device, 0o622); err != nil {
		t.Fatal(err)
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, "d/sub"),
		[]unix.Timespec{{Sec: 12345, Nsec: 6789}, {Sec: 98765, Nsec: 4321}}, 0); err != nil {
		t.Fatal(err)
	}
	stats, err := copyOf(t, dir, "d", "copy", Options{SetID: true, Devices: true})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Files != 11 {
		t.Errorf("stats: %+v, want 11 files", stats)
	}
	if err := unix.Lremovexattr(filepath.Join(dir, "d"), "trusted.ebb.owner"); err != nil {
		t.Fatal(err)
	}
	want, got := testenv.Fingerprint(t, filepath.Join(dir, "d")), testenv.Fingerprint(t, filepath.Join(dir, "copy"))
	if diff := want.Diff(got); diff != "" {
		t.Errorf("the copy differs:\n%s", diff)
	}
	requireSameFile(t, dir, "copy/f", "copy/h")
	requireSameFile(t, dir, "copy/f", "copy/sub/h2")
}

func requireSameFile(t *testing.T, dir, a, b string) {
	t.Helper()
	sa, errA := os.Lstat(filepath.Join(dir, a))
	sb, errB := os.Lstat(filepath.Join(dir, b))
	if errA != nil || errB != nil || !os.SameFile(sa, sb) {
		t.Errorf("%s and %s are not one file (%v, %v)", a, b, errA, errB)
	}
}

func TestCopyDropsSetIDAndDevices(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir d", "file d/setid 6755")
	if err := unix.Mknod(filepath.Join(dir, "d/null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	capability := []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	if err := unix.Setxattr(filepath.Join(dir, "d/setid"), "security.capability", capability, 0); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{false, true} {
		name := fmt.Sprint("copy", keep)
		stats, err := copyOf(t, dir, "d", name, Options{SetID: keep, Devices: keep})
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name, "setid"), &st); err != nil {
			t.Fatal(err)
		}
		_, capErr := unix.Getxattr(filepath.Join(dir, name, "setid"), "security.capability", make([]byte, 64))
		_, devErr := os.Lstat(filepath.Join(dir, name, "null"))
		if (st.Mode&0o6000 != 0) != keep || (capErr == nil) != keep || (devErr == nil) != keep || (stats.Skipped == 0) != keep {
			t.Errorf("keep %v: mode %o, capability %v, device %v, %+v", keep, st.Mode, capErr, devErr, stats)
		}
	}
}

func TestCopyOneFile(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "file f 0604 0:0 text", "link l f", "fifo p")
	if _, err := copyOf(t, dir, "f", "g", Options{}); err != nil {
		t.Fatal(err)
	}
	all := testenv.Fingerprint(t, dir)
	if all["f"] != all["g"] {
		t.Errorf("%s\ncopied as %s", all["f"], all["g"])
	}
	for _, name := range []string{"l", "p"} {
		if _, err := copyOf(t, dir, name, "other", Options{}); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
	if _, err := copyOf(t, dir, "f", "g", Options{}); !errors.Is(err, unix.EEXIST) {
		t.Errorf("copy over an existing file: %v", err)
	}
}

func TestCopyLimits(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir d", "file d/a 0644 0:0 0123456789", "dir d/sub", "file d/sub/b 0644 0:0 0123456789")
	before := testenv.Fingerprint(t, dir)
	tests := []struct {
		limit Limit
		ok    bool
	}{
		{Limit{}, true},
		{Limit{Files: 4}, true},
		{Limit{Files: 3}, false},
		{Limit{Files: 1}, false},
		{Limit{Copied: 20}, true},
		{Limit{Copied: 19}, false},
		{Limit{Copied: 9}, false},
	}
	for _, test := range tests {
		stats, err := copyOf(t, dir, "d", "copy", Options{Limit: test.limit, NoSharing: true})
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: %v, %+v", test.limit, err, stats)
		}
		if err == nil {
			if err := Remove(testenv.OpenDir(t, dir), "copy"); err != nil {
				t.Fatal(err)
			}
		}
		after := testenv.Fingerprint(t, dir)
		delete(before, ".")
		delete(after, ".")
		if diff := before.Diff(after); diff != "" {
			t.Fatalf("%+v: left behind:\n%s", test.limit, diff)
		}
	}
}

func TestCopyHoles(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 1 << 40
	for _, offset := range []int64{1 << 20, 1 << 30, size - 10} {
		if _, err := f.WriteAt([]byte("0123456789"), offset); err != nil {
			t.Skipf("this file system has no such sparse files: %v", err)
		}
	}
	stats, err := copyOf(t, dir, "f", "g", Options{NoSharing: true, Limit: Limit{Copied: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "g"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != size || st.Blocks > 1024 {
		t.Errorf("size %d in %d blocks, %+v", st.Size, st.Blocks, stats)
	}
	g, err := os.Open(filepath.Join(dir, "g"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	buf := make([]byte, 10)
	if _, err := g.ReadAt(buf, size-10); err != nil || string(buf) != "0123456789" {
		t.Errorf("the end is %q (%v)", buf, err)
	}
}

func TestMountsAreNotCrossed(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir d/m", "file d/f")
	inner := filepath.Join(dir, "d/m")
	if err := unix.Mount("test", inner, "tmpfs", 0, "mode=0711"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(inner, unix.MNT_DETACH)
	testenv.Tree(t, dir, "file d/m/precious")
	stats, err := copyOf(t, dir, "d", "copy", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "copy/m")); err != nil || len(left) > 0 || stats.Skipped != 1 {
		t.Errorf("copied from the mount: %v (%v), %+v", left, err, stats)
	}
	// A removal stops before a mount, also an empty one.
	if err := Remove(testenv.OpenDir(t, dir), "d"); err == nil {
		t.Error("removed a mount")
	}
	if _, err := os.Stat(filepath.Join(dir, "d/m/precious")); err != nil {
		t.Errorf("removed on the mount: %v", err)
	}
}

func TestRemoveDoesNotFollow(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "file out/precious", "dir d/sub", "link d/l ../out", "link d/sub/l ../../out",
		"hardlink d/sub/h out/precious", "fifo d/p", "link top out")
	before := testenv.Fingerprint(t, filepath.Join(dir, "out"))
	fd := testenv.OpenDir(t, dir)
	for _, name := range []string{"d", "top", "d"} { // a second time, too
		if err := Remove(fd, name); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
	if diff := before.Diff(testenv.Fingerprint(t, filepath.Join(dir, "out"))); diff != "" {
		t.Errorf("changed outside:\n%s", diff)
	}
}

// What a copy gets from the directory that it is made in is not a part of it: with
// a default ACL of a user's he would read what he could not read before.
func TestCopyInheritsNoACL(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir from 0750 0:0", "file from/key 0640 0:0 secret", "dir from/sub 0750 0:0", "dir to 0755 1000:100")
	// user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::r-x
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0xe8, 3, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255}
	if err := unix.Setxattr(filepath.Join(dir, "to"), "system.posix_acl_default", acl, 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"from", "from/key"} {
		from, err := unix.Open(filepath.Join(dir, name), unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fd, _, err := Copy(from, testenv.OpenDir(t, filepath.Join(dir, "to")), filepath.Base(name), Options{})
		if err := errors.Join(err, unix.Close(from), unix.Close(fd)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"from", "from/key", "from/sub", "key"} {
		for _, attribute := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
			if n, err := unix.Getxattr(filepath.Join(dir, "to", name), attribute, nil); !errors.Is(err, unix.ENODATA) {
				t.Errorf("%s has %s: %d bytes, %v", name, attribute, n, err)
			}
		}
	}
}

func TestPowers(t *testing.T) {
	testenv.Need(t, testenv.TierRoot) // in a user namespace no mount has device nodes
	for _, flags := range []uintptr{0, unix.MS_NOSUID, unix.MS_NODEV} {
		dir := t.TempDir()
		if err := unix.Mount("test", dir, "tmpfs", flags, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		setID, devices := Powers(testenv.OpenDir(t, dir))
		if setID != (flags != unix.MS_NOSUID) || devices != (flags != unix.MS_NODEV) {
			t.Errorf("%#x: %v, %v", flags, setID, devices)
		}
	}
}
