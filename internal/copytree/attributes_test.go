package copytree

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// largeACL is the value of system.posix_acl_access with so many entries
// (linux/posix_acl_xattr.h): a version, then tag, permissions and id of each.
func largeACL(entries int) []byte {
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	add := func(tag, permissions uint16, id uint32) {
		acl = binary.LittleEndian.AppendUint16(acl, tag)
		acl = binary.LittleEndian.AppendUint16(acl, permissions)
		acl = binary.LittleEndian.AppendUint32(acl, id)
	}
	const none = 1<<32 - 1
	add(0x01, 6, none) // the owner
	for n := range entries - 4 {
		add(0x02, 4, uint32(10_000+n)) // a user
	}
	add(0x04, 4, none) // the group
	add(0x10, 4, none) // the mask
	add(0x20, 0, none) // others
	return acl
}

// TestLargeAttributes copies an attribute of 64 KiB, the most that Linux has,
// and ACLs of 1,000 entries. To btrfs, which has no room for the first
// (a node of 16 KiB), the rest comes, and it is counted.
func TestLargeAttributes(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	dir := t.TempDir()
	if err := unix.Mount("test", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	testenv.Tree(t, dir, "dir d 0750 1000:100", "file d/a 0640 1000:100 text")
	large, acl := bytes.Repeat([]byte("x"), 64<<10), largeACL(1000)
	for _, a := range []struct {
		path, name string
		value      []byte
	}{
		{"d/a", "trusted.large", large},
		{"d/a", "system.posix_acl_access", acl},
		{"d", "system.posix_acl_default", acl},
	} {
		if err := unix.Setxattr(filepath.Join(dir, a.path), a.name, a.value, 0); err != nil {
			t.Fatalf("%s of %s: %v", a.name, a.path, err)
		}
	}
	stats, err := copyOf(t, dir, "d", "copy", Options{})
	if err != nil || stats.Lost != 0 {
		t.Fatalf("%+v, %v", stats, err)
	}
	want := testenv.Fingerprint(t, filepath.Join(dir, "d"))
	if diff := want.Diff(testenv.Fingerprint(t, filepath.Join(dir, "copy"))); diff != "" {
		t.Errorf("the copy differs:\n%.500s", diff)
	}
	copyLargeToBtrfs(t, filepath.Join(dir, "d"), acl)
}

func copyLargeToBtrfs(t *testing.T, from string, acl []byte) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	fd, stats, err := Copy(testenv.OpenDir(t, from), f.Open("."), "copy", Options{})
	if err != nil || stats.Lost != 1 {
		t.Fatalf("to btrfs: %+v, %v", stats, err)
	}
	unix.Close(fd)
	if text, err := os.ReadFile(f.Path("copy/a")); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	got := make([]byte, 64<<10)
	for path, name := range map[string]string{"copy/a": "system.posix_acl_access", "copy": "system.posix_acl_default"} {
		if n, err := unix.Getxattr(f.Path(path), name, got); err != nil || !bytes.Equal(got[:n], acl) {
			t.Errorf("%s of %s: %d bytes, %v", name, path, n, err)
		}
	}
}
