package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// shell is the emergency shell of an initrd: a root file system in memory with
// the config, the device and /proc.
type shell struct {
	*machine
	dir string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{machine: newMachine(t), dir: t.TempDir()}
	s.root = filepath.Join(s.dir, "sysroot")
	mount(t, "tmpfs", s.dir, "tmpfs", 0, "")
	testenv.Tree(t, s.dir, "file etc/initrd-release", "dir sysroot", "dir run", "dir tmp", "dir proc", "file "+strings.TrimPrefix(s.Device(), "/"))
	mount(t, "/proc", filepath.Join(s.dir, "proc"), "", unix.MS_BIND|unix.MS_REC, "")
	mount(t, s.Device(), filepath.Join(s.dir, s.Device()), "", unix.MS_BIND, "")
	s.bindLibraries(t)
	s.configure(t, `{"version": 1, "root": {"kind": "btrfs", "device": "DEVICE"}, "stores": {"/persist": {
		"directories": [{"path": "/var/log"}], "files": [{"path": "/etc/clock", "how": "sync"}]}}}`)
	return s
}

// bindLibraries gives the initrd what the test binary is linked with: with the
// race detector it is not static, as ebb is.
func (s *shell) bindLibraries(t *testing.T) {
	t.Helper()
	for _, name := range []string{"usr", "lib", "lib64"} {
		if link, err := os.Readlink("/" + name); err == nil {
			testenv.Tree(t, s.dir, "link "+name+" "+link)
		} else if _, err := os.Stat("/" + name); err == nil {
			testenv.Tree(t, s.dir, "dir "+name)
			mount(t, "/"+name, filepath.Join(s.dir, name), "", unix.MS_BIND, "")
		}
	}
}

func (s *shell) configure(t *testing.T, text string) {
	t.Helper()
	text = strings.ReplaceAll(text, "DEVICE", s.Device())
	testenv.Tree(t, s.dir, "file etc/ebb/config.json 0644 0:0 "+text)
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
}

// expect runs ebb in the initrd.
func (s *shell) expect(t *testing.T, status int, want string, args ...string) {
	t.Helper()
	got := ebbIn(t, s.dir, args...)
	if got.status != status || !strings.Contains(got.stdout+got.stderr, want) {
		t.Errorf("%q: status %d, want %d\n%s%s\nwant %q", args, got.status, status, got.stdout, got.stderr, want)
	}
}

func (s *shell) wantFile(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, path))
	if err != nil {
		text = []byte("none")
	}
	if string(text) != want {
		t.Errorf("%s has %q, want %q", path, text, want)
	}
}

// In the emergency shell the root is /sysroot. What is not mounted there is not
// written to: it would be in memory, with a word of success.
func TestEmergencyShell(t *testing.T) {
	s := newShell(t)
	testenv.Tree(t, s.Dir, "dir @blank/etc", "file @/etc/app.conf 0644 0:0 app", "file @persist/etc/clock 0644 0:0 noon")
	if got := ebbIn(t, s.dir, "rollback"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	s.expect(t, 0, "NUMBER", "roots")
	s.expect(t, 0, "/etc/app.conf", "find", "app.conf")
	s.expect(t, 1, "nothing is mounted on /sysroot: mount it first, or restore elsewhere", "restore", "/etc/app.conf")
	s.expect(t, 1, "nothing is mounted on /sysroot", "restore", "--dry-run", "/etc/app.conf")
	s.wantFile(t, "sysroot/etc/app.conf", "none")
	s.wantFile(t, "etc/app.conf", "none")
	s.expect(t, 0, "restored", "restore", "--to", "/tmp", "/etc/app.conf")
	s.wantFile(t, "tmp/app.conf", "app")
	s.expect(t, 0, "restored", "restore", "--root", "/tmp", "/etc/app.conf")
	s.wantFile(t, "tmp/etc/app.conf", "app")

	mount(t, s.Device(), s.root, "btrfs", 0, "subvol=@")
	s.expect(t, 0, "/sysroot/etc/app.conf restored", "restore", "/etc/app.conf")
	s.wantFile(t, "sysroot/etc/app.conf", "app")
	s.expect(t, 1, "nothing is mounted on /sysroot/persist", "restore", "--into-store", "/etc/app.conf")
	s.wantFile(t, "sysroot/persist/etc/app.conf", "none")
	mount(t, s.Device(), filepath.Join(s.root, "persist"), "btrfs", 0, "subvol=@persist")
	s.expect(t, 0, "restored", "restore", "--into-store", "/etc/app.conf")
	s.wantFile(t, "sysroot/persist/etc/app.conf", "app")

	s.expect(t, 0, "2 entries are in place", "mount")
	s.wantFile(t, "sysroot/etc/clock", "noon")
	if err := os.WriteFile(filepath.Join(s.root, "etc/clock"), []byte("evening"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect(t, 0, "/etc/clock", "sync")
	s.wantFile(t, "sysroot/persist/etc/clock", "evening")
	for _, row := range []struct {
		status int
		want   string
		args   []string
	}{
		{0, "/sysroot/persist/etc/app.conf", []string{"orphans"}},
		{0, "app.conf", []string{"diff", "--files"}},
		{1, "lost at the next boot", []string{"why", "/etc/app.conf"}},
		{0, "kept by the entry /etc/clock", []string{"why", "/etc/clock"}},
		{0, "planned /etc/app.conf", []string{"keep", "--dry-run", "/etc/app.conf"}},
		{0, "moved to /sysroot/persist/.ebb/trash/", []string{"orphans", "--trash", "/sysroot/persist/etc/app.conf"}},
		{0, "kept /etc/app.conf", []string{"keep", "/etc/app.conf"}},
		{0, "sync in /persist", []string{"keep", "--list"}},
		{0, "/run/ebb/roots/000001", []string{"roots", "mount", "1"}},
		{0, "unmounting /run/ebb/roots/000001", []string{"roots", "umount", "1"}},
		{0, "every entry is in place", []string{"apply"}},
		{0, "stays", []string{"prune"}},
		{0, "all is well", []string{"status"}},
		{0, "nothing to do", []string{"plan"}},
	} {
		s.expect(t, row.status, row.want, row.args...)
	}
}
