package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// bootByHand rolls back, mounts the root and brings the entries in.
func (m *machine) bootByHand(t *testing.T) {
	t.Helper()
	if got := m.ebb(t, "rollback"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	m.mountRoot(t)
	if got := m.ebb(t, "mount", "--root", m.root); got.status != 0 {
		t.Fatal(got.stderr)
	}
}

// declare writes a config with these directories.
func (m *machine) declare(t *testing.T, directories ...string) {
	t.Helper()
	var list []string
	for _, d := range directories {
		list = append(list, fmt.Sprintf(`{"path": %q}`, d))
	}
	text := fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}, "stores": {"/persist": {"directories": [%s], "files": [{"path": "/etc/name"}]}}}`,
		m.Device(), strings.Join(list, ", "))
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expect runs a command on the root, and compares its status and a part of
// what it prints.
func (m *machine) expect(t *testing.T, status int, stdout string, command string, args ...string) result {
	t.Helper()
	got := m.ebb(t, command, append([]string{"--root", m.root}, args...)...)
	if got.status != status || !strings.Contains(got.stdout, stdout) {
		t.Errorf("%s %q: status %d, want %d\n%s%s\nwant %q", command, args, got.status, status, got.stdout, got.stderr, stdout)
	}
	return got
}

// TestApply: 0 when all is in place, 1 when something is not, 2 for wrong use.
func TestApply(t *testing.T) {
	m := newMachine(t)
	m.expect(t, 0, "all of them come with the next one", "apply")
	m.bootByHand(t)
	m.expect(t, 0, "Nothing to do: every entry is in place.", "apply")
	m.expect(t, 2, "", "apply", "/var/log")

	m.declare(t, "/var/log", "/var/lib/app")
	testenv.Tree(t, m.root, "file var/lib/app/a 0600 0:0 mine")
	m.expect(t, 0, "planned /var/lib/app: what is there goes into the store first: 1 file (", "apply", "--dry-run")
	m.expect(t, 0, `"size": {
        "files": 1,
        "bytes": `, "apply", "--dry-run", "--json")
	if _, err := os.Stat(m.Path("@persist/var/lib/app")); err == nil {
		t.Error("the dry run has copied")
	}
	m.expect(t, 0, "kept /var/lib/app: 2 files", "apply")
	m.expect(t, 0, "Nothing to do", "apply")
	if text, err := os.ReadFile(m.Path("@persist/var/lib/app/a")); err != nil || string(text) != "mine" {
		t.Errorf("the store has %q, %v", text, err)
	}
	m.wantGone(t)

	m.declare(t, "/var/log", "/var/both")
	testenv.Tree(t, m.root, "file var/both/a 0600 0:0 root", "file persist/var/both/a 0600 0:0 store")
	got := m.expect(t, 1, "What is not in place waits for the next boot", "apply")
	for _, want := range []string{"conflict /var/both", "1 differ", "removed /var/lib/app: stays in place until the next boot"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is not in\n%s", want, got.stdout)
		}
	}
	var document struct {
		Version int
		Entries []struct{ Path, State string }
		Removed []struct{ Path string }
	}
	asJSON := m.expect(t, 1, "", "apply", "--json")
	if err := json.Unmarshal([]byte(asJSON.stdout), &document); err != nil || document.Version != 1 ||
		len(document.Entries) != 1 || document.Entries[0].State != "conflict" || len(document.Removed) != 1 {
		t.Errorf("%v: %+v of\n%s", err, document, asJSON.stdout)
	}
}

// wantGone fails the test when a copy that was not finished lies in the store.
func (m *machine) wantGone(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"@persist/var/lib/.*ebb*", "@persist/var/.*ebb*"} {
		if left, _ := filepath.Glob(m.Path(pattern)); len(left) > 0 {
			t.Errorf("left over: %q", left)
		}
	}
}

// TestWhy: 0 for what the next boot does not lose, 1 for the rest.
func TestWhy(t *testing.T) {
	m := newMachine(t)
	testenv.Tree(t, m.Dir, "file @/etc/gone.conf 0644 0:0 old")
	m.bootByHand(t)
	testenv.Tree(t, m.root, "file var/log/x 0600 0:0 x", "file etc/mine 0600 0:0 x", "file persist/x 0600 0:0 x")
	m.expect(t, 0, "kept by the entry /var/log of /persist", "why", "/var/log/x")
	m.expect(t, 0, "it lies in the store /persist", "why", "/persist/x")
	m.expect(t, 1, "\nebb keep /etc/mine\n", "why", "/etc/mine")
	m.expect(t, 1, "\nebb restore --from 1 /etc/gone.conf\n", "why", "/etc/gone.conf")
	m.expect(t, 1, "  it was lost    with archived root 1, 20", "why", "/etc/gone.conf")
	m.expect(t, 1, "there is no such file now", "why", "/etc/never")
	m.expect(t, 1, `"fate": "missing"`, "why", "--json", "/var/log/x", "/etc/never")
	m.expect(t, 0, `"fate": "kept"`, "why", "--json", "/var/log/x")
	m.expect(t, 1, `"lost": "20`, "why", "--json", "/etc/gone.conf")
	m.expect(t, 2, "", "why")
	m.expect(t, 0, "kept /etc/mine", "keep", "/etc/mine")
	m.expect(t, 0, "\nebb keep --list", "why", "/etc/mine")
	m.declare(t, "/var/log", "/srv")
	testenv.Tree(t, m.root, "file srv/x 0600 0:0 x")
	m.expect(t, 1, "\nebb apply\n", "why", "/srv")
}

// What a boot could not bring in is not made new by a switch: the next boot finds its
// data in the root that was archived.
func TestApplyAfterFailedBoot(t *testing.T) {
	m := newMachine(t)
	m.declare(t, "/srv/data")
	testenv.Tree(t, m.Dir, "file @/srv/data/a 0600 0:0 old")
	if got := m.ebb(t, "rollback"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	m.mountRoot(t)
	if err := unix.Unmount(filepath.Join(m.root, "persist"), 0); err != nil {
		t.Fatal(err)
	}
	if got := m.ebb(t, "mount", "--root", m.root); got.status != 1 {
		t.Fatalf("%+v", got)
	}
	if err := unix.Mount(m.Device(), filepath.Join(m.root, "persist"), "btrfs", 0, "subvol=@persist"); err != nil {
		t.Fatal(err)
	}
	got := m.expect(t, 1, "this boot could not bring it in", "apply")
	if _, err := os.Stat(m.Path("@persist/srv/data")); err == nil {
		t.Errorf("a new source was made:\n%s", got.stdout)
	}
	for unix.Unmount(m.root, unix.MNT_DETACH) == nil {
	}
	m.runDir = filepath.Join(t.TempDir(), "run")
	m.bootByHand(t)
	if text, err := os.ReadFile(m.Path("@persist/srv/data/a")); err != nil || string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
}
