package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestDryRun: a dry run changes nothing on the disk, in the root, in the run
// directory and in the table of mounts, and fails where the run itself would.
func TestDryRun(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	old := "subvolume @roots/000007/root"
	testenv.Tree(t, m.Dir, "dir @roots 0700 0:0", "dir @roots/000007 0700 0:0", old, "file @roots/000007/root/etc/gone 0644 0:0 old")
	m.config = writeFile(t, strings.ReplaceAll(`{"version": 1, "root": {"kind": "btrfs", "device": "DEVICE", "keep": {"count": 0, "days": 0}},
		"stores": {"/persist": {"directories": [{"path": "/var/log"}, {"path": "/var/app", "user": "app"}], "files": [{"path": "/etc/name"}, {"path": "/etc/clock", "how": "sync"}]}}}`,
		"DEVICE", m.Device()))
	rows := []struct {
		status int
		want   string // a part of what is printed
		args   []string
	}{
		{0, "would be restored from root 7", []string{"restore", "/etc/gone"}},
		{0, "planned /etc/mine", []string{"keep", "/etc/mine"}},
		{0, "/etc/kept would be off the list", []string{"keep", "--forget", "/etc/kept"}},
		{1, "refused /var/log", []string{"apply"}},
		{0, "would be pinning root 7", []string{"roots", "pin", "7"}},
		{0, "would be deleting the roots [7]", []string{"roots", "delete", "7"}},
		{0, "would be mounting root 7", []string{"roots", "mount", "7", dir}},
		{0, "Nothing was changed", []string{"prune", "--grace", "0"}},
		{0, "would be moved to", []string{"orphans", "--trash", m.root + "/persist/orphan"}},
		{0, "would be restored from", []string{"orphans", "--restore", m.root + "/persist/trashed"}},
		{0, "5 entries would be noted in " + m.root + "/persist/.ebb/ledger", []string{"orphans", "--record"}},
		{0, "/etc/clock", []string{"sync"}},
		{0, "", []string{"rollback"}}, // this boot has had its own
		{2, "", []string{"rollback", "--not-started"}},
		{1, "entry /var/log of store /persist: ", []string{"mount"}},
		{0, "giving /persist/var/app to 11:0 0755", []string{"mount", "--finish"}},
	}
	testenv.Tree(t, m.Dir, "file @persist/etc/clock 0644 0:0 x", "file @persist/orphan 0644 0:0 x", "file @persist/trashed 0644 0:0 x")
	m.bootByHand(t)
	testenv.Tree(t, m.root, "file etc/mine 0644 0:0 mine", "file etc/kept 0644 0:0 kept", "file etc/passwd 0644 0:0 app:x:11:22::/:")
	m.expect(t, 0, "", "keep", "/etc/kept")
	m.expect(t, 0, "", "orphans", "--trash", m.root+"/persist/trashed")
	m.planDamage(t)

	var tried []string
	for _, row := range rows {
		tried = append(tried, row.args[0])
		before := m.stock(t, dir)
		got := m.expect(t, row.status, row.want, row.args[0], append(row.args[1:], "--dry-run")...)
		if diff := before.Diff(m.stock(t, dir)); diff != "" {
			t.Errorf("%q has changed\n%s%s", row.args, diff, got.stderr)
		}
	}
	for _, c := range commands() {
		if has := strings.Contains(ebb(t, c.name, "-h").stdout, "--dry-run"); has != slices.Contains(tried, c.name) {
			t.Errorf("%s has a dry run: %v", c.name, has)
		}
	}
}

// planDamage puts a link where an entry was, and changes a file that is to be
// copied back.
func (m *machine) planDamage(t *testing.T) {
	t.Helper()
	if err := unix.Unmount(filepath.Join(m.root, "var/log"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(m.root, "var/log")); err != nil {
		t.Fatal(err)
	}
	testenv.Tree(t, m.root, "link var/log /elsewhere")
	if err := os.WriteFile(filepath.Join(m.root, "etc/clock"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stock is everything that a run could change.
func (m *machine) stock(t *testing.T, dirs ...string) testenv.Inventory {
	t.Helper()
	all := testenv.Inventory{}
	for _, dir := range append(dirs, m.Dir, m.root, m.runDir, "/run") {
		for name, text := range testenv.Fingerprint(t, dir) {
			all[dir+"/"+name] = text
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	all["mounts"] = string(table)
	return all
}

// TestPlanOfNoEntries: what is planned is what is done, also where the kernel
// command line wants no entries.
func TestPlanOfNoEntries(t *testing.T) {
	m := newMachine(t)
	if got := m.ebb(t, "rollback"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	m.mountRoot(t)
	const unwanted = "bringing in no entries: the kernel command line says ebb.mount=no\n"
	for _, test := range []struct {
		line        string
		wanted      bool
		text, asDoc string
	}{
		{"quiet ebb.mount=no", false, unwanted, `"unwanted": "the kernel command line says ebb.mount=no"`},
		{"quiet", true, "creating directory /persist/var/log", `"state": "planned"`},
	} {
		bindOver(t, "/proc/cmdline", test.line)
		m.expect(t, 0, test.text, "plan")
		m.expect(t, 0, test.asDoc, "plan", "--json")
		m.expect(t, 0, test.text, "mount", "--dry-run")
		m.expect(t, 0, "", "mount")
		if _, err := os.Stat(m.Path("@persist/var/log")); (err == nil) != test.wanted {
			t.Errorf("%q: %v", test.line, err)
		}
	}
}

// bindOver makes what a file of this machine holds be text, until the test ends.
func bindOver(t *testing.T, path, text string) {
	t.Helper()
	if err := unix.Mount(writeFile(t, text), path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
}
