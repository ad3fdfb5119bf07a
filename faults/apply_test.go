package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestApply sweeps over every call of "ebb apply" that takes data in, puts a
// link into its place, and brings a file in that is synced.
func TestApply(t *testing.T) {
	t.Parallel()
	m := newDiskless(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {
		"directories": [{"path": "/home/ada/docs"}, {"path": "/srv/link", "how": "symlink"}, {"path": "/srv/live", "how": "symlink"}], "files": [{"path": "/etc/clock", "how": "sync"}]}}}`)
	nothing := filepath.Join(m.dir, "nothing.json")
	require(t, os.WriteFile(nothing, []byte(`{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {}}}`), 0o600))
	var before testenv.Inventory
	sweep := sweeper{
		command: func(t *testing.T) *tracer.Command {
			require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
			onTmpfs(t, &hostile{machine: m})
			m.boot()
			if r := run(t, m.ebb("mount", "--config", nothing)); r.Status != 0 {
				t.Fatalf("mount: status %d\n%s", r.Status, r.Output)
			}
			testenv.Tree(t, m.path("sysroot"), work...)
			testenv.Tree(t, m.path("sysroot"), "file etc/clock 0644 0:0 12:00", "file persist/srv/link/file 0600 0:0 linked", "file srv/live/file 0600 7:8 live")
			before = m.kept(t, "home/ada/docs")
			return m.ebb("apply")
		},
		judge:  func(t *testing.T, o *outcome) { m.judgeApply(t, o, before) },
		sample: true,
	}
	sweep.run(t)
}

// judgeApply: the data is in its place, whole, at every instant; so is what the
// store has under its name; and the next run does what was asked for, after
// which there is nothing to do.
func (m *machine) judgeApply(t *testing.T, o *outcome, before testenv.Inventory) {
	t.Helper()
	inStore := m.requireWhole(t, o, before)
	if r := run(t, m.ebb("apply")); r.Status != 0 {
		t.Errorf("the next run: status %d\n%s", r.Status, r.Output)
	}
	if r := run(t, m.ebb("apply")); r.Status != 0 || !strings.Contains(r.Output, "Nothing to do") {
		t.Errorf("the one after it: status %d\n%s", r.Status, r.Output)
	}
	if diff := before.Diff(m.kept(t, inStore)); diff != "" {
		t.Errorf("in the store in the end:\n%s", diff)
	}
	for file, want := range map[string]string{"persist/srv/link/file": "linked", "persist/srv/live/file": "live", "persist/etc/clock": "12:00", "etc/clock": "12:00"} {
		if data, err := os.ReadFile(m.path("sysroot/" + file)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", file, data, err)
		}
	}
	for _, name := range []string{"/srv/link", "/srv/live"} {
		if to, err := os.Readlink(m.path("sysroot" + name)); err != nil || to != "/persist"+name {
			t.Errorf("the link %s leads to %q, %v", name, to, err)
		}
	}
}
