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

// work is what is kept: a small tree of a user's.
var work = []string{
	"dir home/ada 0700 1000:100", "dir home/ada/docs 0750 1000:100", "file home/ada/docs/a 0640 1000:100 one",
	"dir home/ada/docs/deep 0700 1000:100", "file home/ada/docs/deep/b 0600 1000:100 two", "link home/ada/docs/c a",
}

// TestKeep sweeps over every call of "ebb keep". It has no signal handler: that
// it can be interrupted at any time is what the kills here show.
func TestKeep(t *testing.T) {
	t.Parallel()
	m := newDiskless(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {}}}`)
	var before testenv.Inventory
	sweep := sweeper{
		command: func(t *testing.T) *tracer.Command {
			require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
			onTmpfs(t, &hostile{machine: m})
			m.boot()
			testenv.Tree(t, m.path("sysroot"), work...)
			before = m.kept(t, "home/ada/docs")
			return m.ebb("keep", "/home/ada/docs")
		},
		judge:  func(t *testing.T, o *outcome) { m.judgeKeep(t, o, before) },
		sample: true,
	}
	sweep.run(t)
}

// judgeKeep: the data is in its place, whole, at every instant; what the store
// has under its name is whole, too; and the next run does what was asked for,
// with nothing left of this one but an empty directory: what lay in it has its
// name, and nobody looks for it there again.
func (m *machine) judgeKeep(t *testing.T, o *outcome, before testenv.Inventory) {
	t.Helper()
	inStore := m.requireWhole(t, o, before)
	for _, which := range []string{"the next run", "the one after it"} {
		if r := run(t, m.ebb("keep", "/home/ada/docs")); r.Status != 0 {
			t.Errorf("%s: status %d\n%s", which, r.Status, r.Output)
		}
	}
	if diff := before.Diff(m.kept(t, inStore)); diff != "" {
		t.Errorf("in the store in the end:\n%s", diff)
	}
	if list := run(t, m.ebb("keep", "--list")); !strings.Contains(list.Output, "/home/ada/docs") {
		t.Errorf("the list has\n%s", list.Output)
	}
	require(t, filepath.WalkDir(m.path("sysroot/persist"), func(path string, e os.DirEntry, err error) error {
		if strings.Contains(path, "ebb-new") && (!e.IsDir() || !strings.HasSuffix(path, "ebb-new")) {
			t.Errorf("%s is left over", path)
		}
		return err
	}))
}

// requireWhole looks at data in its place, and in the store, where nothing may
// be but what is whole; it returns where that is.
func (m *machine) requireWhole(t *testing.T, o *outcome, before testenv.Inventory) (inStore string) {
	t.Helper()
	if diff := before.Diff(m.kept(t, "home/ada/docs")); diff != "" {
		t.Errorf("in its place:\n%s", diff)
	}
	inStore = "persist/home/ada/docs"
	if _, err := os.Lstat(m.path("sysroot/" + inStore)); err == nil {
		if diff := before.Diff(m.kept(t, inStore)); diff != "" {
			t.Errorf("in the store:\n%s", diff)
		}
	} else if !o.Killed && o.Status == 0 {
		t.Errorf("status 0, and nothing is in the store\n%s", o.Output)
	}
	return inStore
}

// kept describes a tree, but for its times.
func (m *machine) kept(t *testing.T, path string) testenv.Inventory {
	t.Helper()
	prints := testenv.Fingerprint(t, m.path("sysroot/"+path))
	for name, text := range prints {
		prints[name] = times.ReplaceAllString(text, "")
	}
	return prints
}
