package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTree(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	Tree(t, dir,
		"dir a 1777",
		"file a/b/c 0640",
		"file d",
		"link l ../nowhere",
		"hardlink h d",
		"fifo p 0600",
	)
	tests := []struct {
		path string
		mode uint32
	}{
		{"a", unix.S_IFDIR | 0o1777},
		{"a/b", unix.S_IFDIR | 0o700}, // made as needed, under the umask
		{"a/b/c", unix.S_IFREG | 0o640},
		{"d", unix.S_IFREG | 0o644},
		{"l", unix.S_IFLNK | 0o777},
		{"h", unix.S_IFREG | 0o644},
		{"p", unix.S_IFIFO | 0o600},
	}
	for _, test := range tests {
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, test.path), &stat); err != nil {
			t.Errorf("%s: %v", test.path, err)
		} else if stat.Mode != test.mode {
			t.Errorf("%s: mode %o, want %o", test.path, stat.Mode, test.mode)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "l")); err != nil || target != "../nowhere" {
		t.Errorf("link leads to %q (%v)", target, err)
	}
}

func TestTreeOwnerAndContent(t *testing.T) {
	Need(t, TierRoot)
	dir := t.TempDir()
	Tree(t, dir, "file f 4755 1000:100 two  words ", "dir d 0700 7:8")
	content, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || string(content) != "two  words " {
		t.Errorf("content %q (%v)", content, err)
	}
	var stat unix.Stat_t
	if err := unix.Lstat(filepath.Join(dir, "f"), &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Uid != 1000 || stat.Gid != 100 || stat.Mode&0o7777 != 0o4755 {
		t.Errorf("f: %d:%d %o", stat.Uid, stat.Gid, stat.Mode)
	}
}

func TestTreeBadSpecs(t *testing.T) {
	tests := []struct{ spec, want string }{
		{"", "want a kind and a path"},
		{"dir", "want a kind and a path"},
		{"folder a", `unknown kind "folder"`},
		{"dir ../a", "out of the tree"},
		{"dir /a", "out of the tree"},
		{"dir a 0799", "mode"},
		{"dir a 70000", "mode"},
		{"dir a 0700 root", "want UID:GID"},
		{"dir a 0700 0:0 more", "want 0 to 2"},
		{"link a", "want 1 to 1"},
		{"xattr a b", "want 2 to 2"},
		{"hardlink a missing", "no such file"},
	}
	for _, test := range tests {
		err := makeNode(t.TempDir(), test.spec)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want one with %q", test.spec, err, test.want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	Tree(t, dir, "dir a 0700", "file a/f 0644", "link l f", "fifo p", "xattr a/f user.x 1")
	file := filepath.Join(dir, "a/f")
	tests := []struct {
		name   string
		change func() error
		want   string // in the difference; "" for none
	}{
		{"nothing", func() error { return nil }, ""},
		{"reading", func() error { _, err := os.ReadFile(file); return err }, ""},
		{"mode", func() error { return os.Chmod(file, 0o600) }, `+ "a/f" file 0600`},
		{"content of the same size", func() error { return rewrite(file, "x") }, "sha256"},
		{"attribute", func() error { return unix.Lsetxattr(file, "user.x", []byte("2"), 0) }, `user.x="2"`},
		{"link target", func() error {
			link := filepath.Join(dir, "l")
			return firstError(os.Remove(link), os.Symlink("g", link))
		}, `target="g"`},
		{"new file", func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) }, `+ "new" file`},
		{"gone", func() error { return os.Remove(filepath.Join(dir, "p")) }, `- "p" fifo`},
	}
	for _, test := range tests {
		before := Fingerprint(t, dir)
		if err := test.change(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got := before.Diff(Fingerprint(t, dir))
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: difference %q, want %q", test.name, got, test.want)
		}
	}
}

func rewrite(path, content string) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{stat.Atim, stat.Mtim}, 0)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
