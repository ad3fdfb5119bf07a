package main

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestKeepAndForget: a dry run says what would be, and what is printed for
// programs is JSON.
func TestKeepAndForget(t *testing.T) {
	m := newMachine(t)
	m.bootByHand(t)
	testenv.Tree(t, m.root, "file etc/mine 0600 0:0 x", "file etc/other 0600 0:0 x")
	m.expect(t, 0, "planned /etc/mine: 1 file (", "keep", "--dry-run", "/etc/mine")
	m.expect(t, 0, `"nix": "ebb.persist.`, "keep", "--json", "/etc/mine", "/etc/other")
	m.expect(t, 0, "/etc/mine would be off the list of /persist", "keep", "--forget", "--dry-run", "/etc/mine")
	m.expect(t, 0, "bind in /persist\n", "keep", "--list")
	got := m.expect(t, 0, `"path": "/etc/other"`, "keep", "--forget", "--json", "/etc/mine")
	if strings.Contains(got.stdout, "/etc/mine") || !strings.HasPrefix(got.stdout, "{") {
		t.Errorf("what is left of the list:\n%s", got.stdout)
	}
	m.expect(t, 0, "/etc/other is off the list", "keep", "--forget", "/etc/other")
	if got := m.expect(t, 0, "", "keep", "--list"); got.stdout != "" {
		t.Errorf("on the list: %s", got.stdout)
	}
	m.expect(t, 1, "", "keep", "--forget", "/etc/other")
}
