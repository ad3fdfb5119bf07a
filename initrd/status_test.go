package initrd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// parseConfig reads a config of kind none with these stores.
func parseConfig(t *testing.T, stores string) *config.Config {
	t.Helper()
	cfg, err := config.Parse([]byte(`{"version": 1, "root": {"kind": "none"}, "stores": ` + stores + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// newHost is a machine in a boot of its own, with that kernel command line.
func newHost(t *testing.T, parameters string) *Host {
	t.Helper()
	return &Host{
		RunDir: filepath.Join(t.TempDir(), "run"), Sysroot: "/nonexistent/sysroot",
		BootID: "b", CommandLine: cmdline.Parse(parameters), Log: &kmsg.Logger{},
	}
}

// Whoever rescues a machine by ebb.mount=no has to get past the entries that
// are required; nobody else does.
func TestRequiredAndNoEntriesWanted(t *testing.T) {
	cfg := parseConfig(t, `{"/persist": {"directories": [{"path": "/var/lib/app", "required": true}]}}`)
	for parameters, want := range map[string]int{"ebb.mount=no": 0, "": 1} {
		h, root := newHost(t, parameters), t.TempDir()
		err := h.Mount(cfg, root) // there is no store
		if (err == nil) != (want == 0) {
			t.Errorf("%q: mount: %v", parameters, err)
		}
		status, err := h.Status(cfg, root)
		if err != nil {
			t.Fatal(err)
		}
		missing, kept := status.MissingRequired()
		if len(missing) != want || (kept == "") != (want == 1) || status.OK {
			t.Errorf("%q: %d are missing, kept %q, all well %v", parameters, len(missing), kept, status.OK)
		}
	}
}

// The record has a list of entries, whatever came of the run.
func TestEntriesAreAList(t *testing.T) {
	cfg := parseConfig(t, `{}`)
	for name, run := range map[string]func(h *Host) error{
		"none wanted":     func(h *Host) error { h.CommandLine = cmdline.Parse("ebb.mount=no"); return h.Mount(cfg, "/") },
		"no root":         func(h *Host) error { return h.Mount(cfg, "/nonexistent/sysroot") },
		"a config broken": func(h *Host) error { return h.MountImpossible(errors.New("broken")) },
		"none declared":   func(h *Host) error { return h.Mount(cfg, t.TempDir()) },
	} {
		h := newHost(t, "")
		_ = run(h) // what it says is in the record
		text, err := os.ReadFile(filepath.Join(h.RunDir, RecordName))
		if err != nil || !strings.Contains(string(text), `"entries":[]`) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// An owner that nobody knows is waited for until activation has made the users,
// and is a problem from then on.
func TestOwnerThatIsNeverFound(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	root := t.TempDir()
	testenv.Tree(t, root, "dir persist", "file etc/passwd 0644 0:0 app:x:11:22::/:")
	const owner, parent = `"path": "/srv/USER", "user": "USER"`, `"path": "/opt/of-USER/x", "parent": {"user": "USER"}`
	for _, test := range []struct {
		user, entry       string
		stage1, activated bool
		want              int // problems
	}{
		{"app", owner, false, true, 0},
		{"app", parent, false, true, 0},
		{"nosuchuser", owner, true, false, 0},
		{"nosuchuser", owner, true, true, 0},
		{"nosuchuser", owner, false, false, 0},
		{"nosuchuser", owner, false, true, 1},
		{"nosuchuser", parent, false, false, 0},
		{"nosuchuser", parent, false, true, 1},
	} {
		cfg := parseConfig(t, strings.ReplaceAll(`{"/persist": {"directories": [{`+test.entry+`, "how": "symlink"}]}}`, "USER", test.user))
		h := newHost(t, "")
		h.Stage1 = test.stage1
		if err := h.Mount(cfg, root); err != nil {
			t.Fatal(err)
		}
		if test.activated {
			entries, err := h.EntryRoot(cfg, root)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(entries.Fd)
			if err := h.Finish(entries); (err == nil) != (test.user == "app") {
				t.Errorf("%+v: the second pass: %v", test, err)
			}
			if err := h.RecordBaseline(Baseline{}); err != nil {
				t.Fatal(err)
			}
		}
		status, err := h.Status(cfg, root)
		if err != nil {
			t.Fatal(err)
		}
		if len(status.Problems) != test.want {
			t.Errorf("%+v: %+v", test, status.Problems)
		}
		for _, p := range status.Problems {
			if !strings.Contains(p.Text, "nosuchuser") || !strings.Contains(p.Hint, "ebb mount --finish --root /") {
				t.Errorf("%+v: %+v", test, p)
			}
		}
	}
}

// An owner who was made after activation is known by now: what was made for them
// is theirs as soon as somebody says so.
func TestOwnerThatIsFoundLate(t *testing.T) {
	testenv.Need(t, testenv.TierRoot)
	root := t.TempDir()
	testenv.Tree(t, root, "dir persist")
	cfg := parseConfig(t, `{"/persist": {"directories": [{"path": "/srv/late", "how": "symlink", "user": "late"}]}}`)
	h := newHost(t, "")
	if err := errors.Join(h.Mount(cfg, root), h.RecordBaseline(Baseline{})); err != nil {
		t.Fatal(err)
	}
	testenv.Tree(t, root, "file etc/passwd 0644 0:0 late:x:11:22::/:")
	status, err := h.Status(cfg, root)
	if err != nil || len(status.Problems) != 1 || status.Problems[0].Hint != "ebb mount --finish --root / gives it to them" {
		t.Fatalf("%+v, %v", status, err)
	}
	entries, err := h.EntryRoot(cfg, root)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(entries.Fd)
	if err := h.Finish(entries); err != nil {
		t.Fatal(err)
	}
	if status, err = h.Status(cfg, root); err != nil || !status.OK {
		t.Errorf("%+v, %v", status, err)
	}
}
