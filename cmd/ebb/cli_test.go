package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// asEbb makes this test binary be ebb.
const asEbb = "EBB_TEST_AS_EBB"

func TestMain(m *testing.M) {
	if os.Getenv(asEbb) != "" {
		main()
		os.Exit(exitDone) // main returns when all went well
	}
	os.Exit(testenv.RunInNamespaces(m))
}

// result is how a run of ebb ended.
type result struct {
	status         int
	stdout, stderr string
}

func ebb(t *testing.T, args ...string) result {
	t.Helper()
	return ebbWith(t, nil, args...)
}

// ebbAs runs ebb as another user, who need not be able to find the test binary.
func ebbAs(t *testing.T, user *syscall.Credential, args ...string) result {
	t.Helper()
	return ebbWith(t, &syscall.SysProcAttr{Credential: user}, args...)
}

// ebbIn runs ebb with dir as its root directory. There has to be a /proc in it.
func ebbIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return ebbWith(t, &syscall.SysProcAttr{Chroot: dir}, args...)
}

func ebbWith(t *testing.T, attributes *syscall.SysProcAttr, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.Command("/proc/self/exe", args...)
	command.SysProcAttr = attributes
	if attributes != nil && attributes.Chroot != "" {
		command.Dir = "/"
	}
	command.Env = append(os.Environ(), asEbb+"=1")
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodConfig = `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [{"path": "/var/log"}], "files": [{"path": "/etc/adjtime", "how": "sync"}]}}}`

func TestUsage(t *testing.T) {
	good, bad := writeFile(t, goodConfig), writeFile(t, `{"version": 1, "root": {"kind": "zfs"}, "x": 1}`)
	names := writeFile(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/p": {"directories": [{"path": "/x\u0000y"}, {"path": "jürgen"}]}}}`)
	for _, test := range []struct {
		args                   []string
		status                 int
		wantStdout, wantStderr string // a part of it
	}{
		{nil, 2, "", "Usage: ebb COMMAND"},
		{[]string{"-h"}, 0, "Usage: ebb COMMAND", ""},
		{[]string{"help"}, 0, "Usage: ebb COMMAND", ""},
		{[]string{"frobnicate"}, 2, "", "there is no command frobnicate"},
		{[]string{"\x1b[2J"}, 2, "", `there is no command \x1b[2J`},
		{[]string{"status", "--nonsense"}, 2, "", "ebb status -h tells more"},
		{[]string{"status", "argument"}, 2, "", "ebb status -h tells more"},
		{[]string{"version"}, 0, "ebb ", ""},
		{[]string{"version", "--json"}, 0, `"version"`, ""},
		{[]string{"check", good}, 0, "is valid: root of kind none, 2 entries in 1 stores", ""},
		{[]string{"check", "--config", good}, 0, "is valid", ""},
		{[]string{"check", bad}, 2, "", "root.kind: \"zfs\": not one of btrfs, tmpfs, none"},
		{[]string{"check", bad}, 2, "", "x: unknown field"},
		{[]string{"check", bad, "--json"}, 2, `"place": "root.kind"`, ""},
		{[]string{"check", good, "--json"}, 0, `"ok": true`, ""},
		{[]string{"check", "/nonexistent"}, 2, "", "no such file"},
		{[]string{"status", "--config", "/nonexistent"}, 2, "", "--config names another"},
		{[]string{"check", good, good}, 2, "", "2 arguments"},
		{[]string{"check", names}, 2, "", `directories[0].path: "/x\x00y": holds a NUL`},
		{[]string{"check", names}, 2, "", `directories[1].path: "jürgen": not an absolute path`},
		{[]string{"doctor", "--config", names}, 1, `"/x\x00y"`, ""},
		{[]string{"doctor", "--config", names}, 1, `"jürgen"`, ""},
		{[]string{"roots", "--config", good}, 1, "", "kind none has no archive"},
		{[]string{"roots", "--config", bad}, 2, "", "root.kind"},
		{[]string{"sync", "--config", good, "/etc/passwd"}, 2, "", `/etc/passwd is no "sync" entry; there are: /etc/adjtime`},
	} {
		got := ebb(t, test.args...)
		if got.status != test.status || !strings.Contains(got.stdout, test.wantStdout) || !strings.Contains(got.stderr, test.wantStderr) {
			t.Errorf("%q: status %d\nstdout: %s\nstderr: %s", test.args, got.status, got.stdout, got.stderr)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, c := range commands() {
		got := ebb(t, c.name, "-h")
		if got.status != 0 || !strings.Contains(got.stdout, c.summary) || !strings.Contains(got.stdout, "-config FILE") {
			t.Errorf("%s -h: status %d\n%s%s", c.name, got.status, got.stdout, got.stderr)
		}
	}
}

// A path leads from the working directory, as it does with other commands.
func TestPathArguments(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	i := &invocation{command: commands()[0]}
	paths, err := i.parsePaths(i.flags(), []string{"a/../b", "/x//y/", ".", "../.."}, 0, -1)
	want := []string{dir + "/b", "/x/y", dir, filepath.Dir(filepath.Dir(dir))}
	if err != nil || !slices.Equal(paths, want) {
		t.Errorf("%q, %v, want %q", paths, err, want)
	}
	if _, err := i.parsePaths(i.flags(), nil, 1, -1); !errors.As(err, new(*usageError)) {
		t.Errorf("no path: %v", err)
	}
}

// A config that cannot be read leaves a record, so that status can tell.
func TestBadConfigIsRecorded(t *testing.T) {
	bad, runDir := writeFile(t, `{`), filepath.Join(t.TempDir(), "run")
	for _, command := range []string{"rollback", "mount"} {
		got := ebb(t, command, "--config", bad, "--run-dir", runDir, "--root", t.TempDir())
		if got.status != 2 || strings.Count(got.stderr, "the document ends in the middle") != 1 {
			t.Errorf("%s: status %d, %s", command, got.status, got.stderr)
		}
	}
	var record initrd.Record
	data, err := os.ReadFile(filepath.Join(runDir, initrd.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	for name, reason := range map[string]string{"rollback": record.Rollback.Reason, "mount": record.Mount.Reason} {
		if !strings.Contains(reason, "ends in the middle") {
			t.Errorf("%s: the record says %q", name, reason)
		}
	}
}

// machine is a disk, a root and a config for a whole boot on this machine.
type machine struct {
	*testenv.Fixture
	root, runDir, config string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	// What ebb tells libmount of its mounts is not meant for this machine's own.
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount("/run", unix.MNT_DETACH) })
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "subvolume @persist", "file @/junk 0644 0:0 junk", "dir @blank/persist 0755 0:0")
	m := &machine{Fixture: f, root: t.TempDir(), runDir: filepath.Join(t.TempDir(), "run")}
	m.config = writeFile(t, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q},
		"stores": {"/persist": {"directories": [{"path": "/var/log"}], "files": [{"path": "/etc/name"}]}}}`, f.Device()))
	return m
}

func (m *machine) ebb(t *testing.T, command string, args ...string) result {
	t.Helper()
	return ebb(t, append([]string{command, "--config", m.config, "--run-dir", m.runDir}, args...)...)
}

// mountRoot does what sysroot.mount and its like do.
func (m *machine) mountRoot(t *testing.T) {
	t.Helper()
	for _, mount := range []struct{ subvolume, target string }{{"@", m.root}, {"@persist", filepath.Join(m.root, "persist")}} {
		if err := unix.Mount(m.Device(), mount.target, "btrfs", 0, "subvol="+mount.subvolume); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for unix.Unmount(m.root, unix.MNT_DETACH) == nil { // with all that is mounted below
		}
	})
}

// A whole boot, as the units make it, and what status says before and after.
func TestBootByHand(t *testing.T) {
	m := newMachine(t)
	if got := m.ebb(t, "status", "--root", m.root); got.status != 1 || !strings.Contains(got.stdout, "ebb has not run in this boot") {
		t.Errorf("status before: %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	planned := m.ebb(t, "plan", "--root", m.Path("@blank"))
	if !strings.Contains(planned.stdout, `exchanging "@"`) {
		t.Errorf("plan: %s%s", planned.stdout, planned.stderr)
	}
	dry := m.ebb(t, "rollback", "--dry-run")
	if _, err := os.Stat(m.Path("@/junk")); err != nil {
		t.Fatalf("planning has changed the root: %v", err)
	}
	got := m.ebb(t, "rollback")
	if got.status != 0 {
		t.Fatalf("rollback: %s", got.stderr)
	}
	for line := range strings.Lines(dry.stdout) {
		if !strings.Contains(got.stderr, strings.TrimSpace(line)) {
			t.Errorf("planned and not done: %s", line)
		}
	}
	if again := m.ebb(t, "rollback"); again.status != 0 || !strings.Contains(again.stderr, "nothing to do") {
		t.Errorf("second rollback: %d, %s", again.status, again.stderr)
	}
	m.mountRoot(t)
	for range 2 {
		if got := m.ebb(t, "mount", "--root", m.root); got.status != 0 {
			t.Fatalf("mount: %s", got.stderr)
		}
	}
	m.wantGoodStatus(t)
	// The root is where its entries were brought in, as long as it is there.
	if got := m.ebb(t, "status"); got.status != 0 || !strings.Contains(got.stdout, "all is well") {
		t.Errorf("status: %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	listed := m.ebb(t, "roots")
	if listed.status != 0 || !strings.Contains(listed.stdout, "NUMBER") || len(strings.Split(strings.TrimSpace(listed.stdout), "\n")) != 4 {
		t.Errorf("roots: %s%s", listed.stdout, listed.stderr)
	}
	// One entry is unmounted behind ebb's back.
	if err := unix.Unmount(filepath.Join(m.root, "var/log"), 0); err != nil {
		t.Fatal(err)
	}
	if got := m.ebb(t, "status", "--root", m.root); got.status != 1 || !strings.Contains(got.stdout, "entry /var/log of store /persist is not in place") {
		t.Errorf("status without an entry: %d\n%s", got.status, got.stdout)
	}
	for unix.Unmount(m.root, unix.MNT_DETACH) == nil {
	}
	if got := m.ebb(t, "status"); got.status != 1 || !strings.Contains(got.stdout, "the root is not the one that ebb made fresh") && !strings.Contains(got.stdout, "NOT fresh") {
		t.Errorf("status of another root: %d\n%s", got.status, got.stdout)
	}
}

func (m *machine) wantGoodStatus(t *testing.T) {
	t.Helper()
	got := m.ebb(t, "status", "--root", m.root)
	if got.status != 0 || !strings.Contains(got.stdout, "all is well") || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("status: %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	var status initrd.Status
	asJSON := m.ebb(t, "status", "--json", "--root", m.root)
	if err := json.Unmarshal([]byte(asJSON.stdout), &status); err != nil {
		t.Fatal(err)
	}
	if !status.OK || !status.Root.Fresh || len(status.Entries) != 2 || status.Record.Rollback.Sequence != 1 {
		t.Errorf("status --json: %s", asJSON.stdout)
	}
}

// The machine boots from another root than the one that was made for it.
func TestStatusSeesTheWrongRoot(t *testing.T) {
	m := newMachine(t)
	if got := m.ebb(t, "rollback"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	if err := unix.Mount(m.Device(), m.root, "btrfs", 0, "subvol=@roots/000001/root"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(m.root, unix.MNT_DETACH) })
	got := m.ebb(t, "status", "--root", m.root)
	if got.status != 1 || !strings.Contains(got.stdout, "runs on another root than the fresh one") || !strings.Contains(got.stdout, "NOT fresh") {
		t.Errorf("status: %d\n%s", got.status, got.stdout)
	}
}

// Whoever is not root sees what there is to see, and is told of the rest.
func TestStatusAsAUser(t *testing.T) {
	m := newMachine(t)
	m.config = writeFile(t, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [{"path": "/var/log"}, {"path": "/secret/dir"}]}}}`)
	testenv.Tree(t, m.Dir, "dir @/persist", "dir @persist/secret 0700 0:0", "dir @persist/secret/dir")
	m.mountRoot(t)
	if got := m.ebb(t, "mount", "--root", m.root); got.status != 0 {
		t.Fatal(got.stderr)
	}
	for _, path := range []string{m.root, m.config, m.runDir} {
		if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}
	got := ebbAs(t, nobody, "status", "--config", m.config, "--run-dir", m.runDir, "--root", m.root)
	if got.status != 0 || !strings.Contains(got.stdout, "1 in place, 1 that only root can see") {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	got = ebbAs(t, nobody, "mount", "--config", m.config, "--run-dir", m.runDir, "--root", m.root)
	if got.status != 1 || !strings.Contains(got.stderr, "hint: only root may do that") {
		t.Errorf("mount: status %d, %s", got.status, got.stderr)
	}
}
