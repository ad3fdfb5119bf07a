package main

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
