package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// Of more entries than can be taken in at a glance those are shown that there is
// something to say of: what was kept aside, and what is not in place.
func TestStatusOfManyEntries(t *testing.T) {
	m := newMachine(t)
	var entries []string
	for n := range 22 {
		entries = append(entries, fmt.Sprintf(`{"path": "/srv/%d"}`, n))
	}
	m.config = writeFile(t, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}, "stores": {"/persist": {
		"directories": [%s], "files": [{"path": "/etc/clock", "how": "sync"}]}}}`, m.Device(), strings.Join(entries, ", ")))
	testenv.Tree(t, m.Dir, "file @persist/etc/clock 0644 0:0 x")
	m.bootByHand(t)
	got := m.expect(t, 0, "\nebb status --all lists all 23 entries.\n", "status")
	if strings.Contains(got.stdout, "in-place") {
		t.Errorf("what is in place is listed:\n%s", got.stdout)
	}
	testenv.Tree(t, m.Dir, "file @persist/etc/clock.ebb-conflict-1700000000 0644 0:0 y")
	m.expect(t, 0, "the other version is /persist/etc/clock.ebb-conflict-1700000000, to be merged and removed\n\nebb status --all", "status")
	testenv.Tree(t, m.Dir, "file @persist/etc/clock.ebb-conflict-1800000000 0644 0:0 z", "file @persist/etc/clock.ebb-conflict-1500000000 0644 0:0 z")
	if err := unix.Unmount(m.root+"/srv/7", 0); err != nil {
		t.Fatal(err)
	}
	got = m.expect(t, 1, "the other version is /persist/etc/clock.ebb-conflict-1800000000 (and 2 more beside it), to be merged and removed\n", "status")
	if !strings.Contains(got.stdout, "\n  missing   /srv/7") || strings.Contains(got.stdout, "/srv/8") {
		t.Errorf("with an entry that is missing:\n%s", got.stdout)
	}
	m.expect(t, 1, "/srv/8", "status", "--all")
}

// What was made good after a power cut, and what the copy of an archived root is
// without, is in status; neither is a problem.
func TestStatusTellsOfRecoveryAndCopies(t *testing.T) {
	m := newMachine(t)
	testenv.Tree(t, m.Dir, "dir @roots 0700 0:0", "dir @roots/000001 0700 0:0", "subvolume @roots/000001/root", "dir @roots/000001/root/persist")
	for n := range 7 {
		testenv.Tree(t, m.Dir, fmt.Sprintf("subvolume @roots/000001/root/srv%d", n))
	}
	testenv.Tree(t, m.Dir, "file @roots/000001/root/srv0/data 0600 0:0 data")
	if err := btrfs.SetReadOnly(m.Open("@roots/000001/root"), true); err != nil {
		t.Fatal(err)
	}
	m.bootByHand(t)
	if got := m.expect(t, 0, "all is well", "status"); strings.Contains(got.stdout, "recovered") || strings.Contains(got.stdout, "not copied") {
		t.Errorf("of an ordinary boot:\n%s", got.stdout)
	}
	for unix.Unmount(m.root, unix.MNT_DETACH) == nil {
	}
	m.runDir = filepath.Join(t.TempDir(), "run")
	testenv.Tree(t, m.Dir, "dir @roots/.next 0700 0:0")
	bindOver(t, "/proc/cmdline", "ebb.rollback=1")
	m.bootByHand(t)
	m.expect(t, 0, "\nrecovered   removing the empty \"@roots/.next\"\n", "status")
	m.expect(t, 0, "\nnot copied  @roots/000001/root/srv0\n            @roots/000001/root/srv1\n", "status")
	got := m.expect(t, 0, "            and 2 more: ebb status --json has them all\n", "status")
	if !strings.Contains(got.stdout, "a copy of archived root 1") || strings.Contains(got.stdout, "srv6") {
		t.Errorf("of a copy:\n%s", got.stdout)
	}
	m.expect(t, 0, `"@roots/000001/root/srv6"`, "status", "--json")
	// What the kernel puts into its place can be removed, and not renamed.
	if err := os.Remove(filepath.Join(m.root, "srv0")); err != nil {
		t.Fatal(err)
	}
	m.expect(t, 0, "restored from root 1", "restore", "--from", "1", "/srv0")
	if text, err := os.ReadFile(filepath.Join(m.root, "srv0/data")); err != nil || string(text) != "data" {
		t.Errorf("%q, %v", text, err)
	}
}
