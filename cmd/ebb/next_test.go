package main

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestNext: what a person is shown ends with what to type next, and what a program
// reads does not have it.
func TestNext(t *testing.T) {
	m := newMachine(t)
	testenv.Tree(t, m.Dir, "file @/etc/gone 0644 0:0 old")
	m.bootByHand(t)
	testenv.Tree(t, m.root, "file etc/mine 0644 0:0 mine", "file persist/old/x 0644 0:0 x", "file var/lib/app/x 0600 0:0 mine")
	old := m.root + "/persist/old"
	for _, test := range []struct {
		status int
		next   string
		args   []string
	}{
		{0, "ebb diff", []string{"status"}},
		{0, "ebb diff", []string{"status", "--all"}},
		{0, "ebb diff --nix", []string{"diff"}},
		{0, "ebb restore --from 1 /etc/gone", []string{"find", "gone"}},
		{0, "ebb why /etc/gone", []string{"restore", "/etc/gone"}},
		{0, "ebb orphans --trash " + old, []string{"orphans"}},
		{0, "ebb orphans --restore " + old, []string{"orphans", "--trash", old}},
		{0, "ebb why " + old, []string{"orphans", "--restore", old}},
		{0, `ebb.persist."/persist".files = [ "/etc/mine" ];`, []string{"keep", "/etc/mine"}},
		{0, `ebb.persist."/persist".files = [ "/etc/mine" ];`, []string{"keep", "--list"}},
	} {
		got := m.expect(t, test.status, "", test.args[0], test.args[1:]...)
		if last := lastLine(got.stdout); last != test.next {
			t.Errorf("%q ends with %q, want %q:\n%s%s", test.args, last, test.next, got.stdout, got.stderr)
		}
	}
	m.declare(t, "/var/log", "/var/lib/app")
	planned := m.expect(t, 0, "", "apply", "--dry-run")
	if last := lastLine(planned.stdout); last != "ebb apply" {
		t.Errorf("apply --dry-run ends with %q", last)
	}
	if got := m.expect(t, 1, "", "status"); lastLine(got.stdout) != "ebb doctor" {
		t.Errorf("status, with an entry that is not in place, ends with %q", lastLine(got.stdout))
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
