package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// leftMachine is one whose new entries are too large to be adopted: a directory,
// one that is linked, and a file in a store on another file system.
func leftMachine(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	cache := t.TempDir()
	if err := unix.Mount("test", cache, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(cache, unix.MNT_DETACH) })
	testenv.Tree(t, m.Dir, "dir @blank/cache", "dir @/srv/data 0750 7:8", "file @/srv/data/a 0640 7:8 a", "file @/srv/data/sub/b 0600 0:0 b",
		"file @/opt/tool/x 0755 0:0 x", "file @/opt/tool/y/z 0755 0:0 z", "file @/etc/big 0604 0:0 "+strings.Repeat("big", 1000))
	text := fmt.Sprintf(`{"version": 1, "adopt": {"files": 2, "copied_bytes": 1000}, "root": {"kind": "btrfs", "device": %q}, "stores": {
		"/persist": {"directories": [{"path": "/srv/data"}, {"path": "/opt/tool", "how": "symlink"}]},
		"/cache": {"files": [{"path": "/etc/big"}]}}}`, m.Device())
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.boots(t, cache)
	return m
}

// boots goes through a boot with the store /cache.
func (m *machine) boots(t *testing.T, cache string) {
	t.Helper()
	m.runDir = filepath.Join(t.TempDir(), "run")
	if got := m.ebb(t, "rollback"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	m.mountRoot(t)
	if err := unix.Mount(cache, filepath.Join(m.root, "cache"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if got := m.ebb(t, "mount", "--root", m.root); got.status != 0 {
		t.Fatal(got.stderr)
	}
}

// leftCommands are what status says has to be typed.
func (m *machine) leftCommands(t *testing.T) (commands []string) {
	t.Helper()
	got := m.expect(t, 1, "", "status")
	for _, found := range regexp.MustCompile(`get it with: ebb restore (.*)`).FindAllStringSubmatch(got.stdout, -1) {
		commands = append(commands, found[1])
	}
	if len(commands) != 3 || strings.Contains(got.stdout, `"new"`) {
		t.Fatalf("status says:\n%s", got.stdout)
	}
	return commands
}

// wantBack looks whether everything is as it was, where it is to be kept.
func (m *machine) wantBack(t *testing.T) {
	t.Helper()
	for _, p := range []struct{ was, is, live string }{
		{"srv/data", "persist/srv/data", "srv/data"}, {"opt/tool", "persist/opt/tool", "persist/opt/tool"}, {"etc/big", "cache/etc/big", "etc/big"},
	} {
		was := testenv.Fingerprint(t, m.Path("@roots/000001/root", p.was))
		for _, is := range []string{p.is, p.live} {
			if diff := was.Diff(testenv.Fingerprint(t, filepath.Join(m.root, is))); diff != "" {
				t.Errorf("%s:\n%s", is, diff)
			}
		}
	}
	m.expect(t, 0, "all is well", "status")
}

// The commands that status prints bring back what was too large to be adopted,
// in the boot that has left it and in each later one.
func TestWhatWasLeftComesBack(t *testing.T) {
	m := leftMachine(t)
	for _, command := range m.leftCommands(t) {
		m.expect(t, 0, "would be restored from root 1", "restore", append(strings.Fields(command), "--dry-run")...)
		m.expect(t, 0, "restored from root 1", "restore", strings.Fields(command)...)
	}
	m.wantBack(t)
	if got := m.expect(t, 1, "", "restore", "--from", "1", "/srv/data"); !strings.Contains(got.stderr, "and not empty: restore with --to /srv/data, and move") {
		t.Errorf("again: %s", got.stderr)
	}
}

func TestWhatWasLeftIsToldAtTheNextBoot(t *testing.T) {
	m := leftMachine(t)
	first := m.leftCommands(t)
	// What is below the mount goes, the store stays.
	cache := t.TempDir()
	if err := unix.Mount(filepath.Join(m.root, "cache"), cache, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(cache, unix.MNT_DETACH) })
	for unix.Unmount(m.root, unix.MNT_DETACH) == nil {
	}
	m.boots(t, cache)
	if again := m.leftCommands(t); strings.Join(again, "\n") != strings.Join(first, "\n") {
		t.Errorf("first %q, then %q", first, again)
	}
	for _, command := range first {
		m.expect(t, 0, "restored from root 1", "restore", strings.Fields(command)...)
	}
	m.wantBack(t)
}

// What the entry has got meanwhile is not touched, and there is a way out.
func TestWhatWasLeftAndIsNotEmpty(t *testing.T) {
	m := leftMachine(t)
	testenv.Tree(t, m.root, "file srv/data/mine 0600 0:0 mine")
	for _, args := range [][]string{{"/srv/data"}, {"--force", "/srv/data"}, {"--into-store", "/srv/data"}, {"--into-store", "--force", "/srv/data"}} {
		if got := m.expect(t, 1, "", "restore", args...); !strings.Contains(got.stderr, "and not empty: restore with --to ") {
			t.Errorf("%q: %s", args, got.stderr)
		}
	}
	m.leftCommands(t)
	m.expect(t, 0, "restored from root 1", "restore", "--from", "1", "--to", filepath.Join(m.root, "srv/data"), "/srv/data")
	if text, err := os.ReadFile(m.Path("@persist/srv/data/data/a")); err != nil || string(text) != "a" {
		t.Errorf("%q, %v", text, err)
	}
	got := m.expect(t, 1, "2 problems", "status")
	if strings.Contains(got.stdout, "--from 1 /srv/data") {
		t.Errorf("it is told although it was brought back:\n%s", got.stdout)
	}
	m.expect(t, 0, "", "restore", "--forget", "/opt/tool", "/etc/big", "/srv/data")
	m.expect(t, 0, "all is well", "status")
}

// Data that was put elsewhere is not in the entry: it is told of until it is.
func TestWhatWasLeftAndIsElsewhere(t *testing.T) {
	m := leftMachine(t)
	m.expect(t, 0, "restored from root 1", "restore", "--from", "1", "--to", t.TempDir(), "/srv/data")
	m.leftCommands(t)
	m.expect(t, 0, "restored from root 1", "restore", "--from", "1", "/srv/data")
	if got := m.expect(t, 1, "2 problems", "status"); strings.Contains(got.stdout, "--from 1 /srv/data") {
		t.Errorf("it is told although it was brought back:\n%s", got.stdout)
	}
}

// A directory to restore to that is reached by a link may be another one than the
// path says: whoever owns what is on the way decides.
func TestRestoreThroughLink(t *testing.T) {
	m := leftMachine(t)
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if got := m.expect(t, 1, "", "restore", "--to", link, "/srv/data"); !strings.Contains(got.stderr, "name the path without links") {
		t.Error(got.stderr)
	}
	if got := m.expect(t, 1, "", "roots", "mount", "1", ""); !strings.Contains(got.stderr, "no such file") {
		t.Error(got.stderr)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}
