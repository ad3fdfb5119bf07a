package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/roots"
)

// archiveDisk makes a file system with archived roots 1 to count, the newest of
// today and each a day older than the next, and returns a config for it.
func archiveDisk(t *testing.T, count int) (f *testenv.Fixture, configPath string) {
	t.Helper()
	f = testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @persist", "dir @roots 0700 0:0")
	for n := 1; n <= count; n++ {
		dir := "@roots/" + archive.DirectoryName(uint64(n))
		testenv.Tree(t, f.Dir, "dir "+dir+" 0700 0:0", "subvolume "+dir+"/root", fmt.Sprintf("file %s/root/etc/number 0640 0:42 %d", dir, n))
		fd, err := unix.Open(f.Path(dir, "root"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := btrfs.Info(fd)
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().AddDate(0, 0, n-count)
		meta := archive.Info{
			Sequence: uint64(n), Archived: at, Boot: archive.Boot{ID: fmt.Sprint(n), Time: at},
			Subvolumes: []archive.Member{{Name: "root", Path: "@", Fresh: btrfs.UUID{1}, Old: info.UUID}},
		}
		text, err := meta.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Path(dir, "meta.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f, writeFile(t, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q, "keep": {"count": 2, "days": 3, "min_free_percent": 1}}, "stores": {}}`, f.Device()))
}

// archived returns the numbers in the archive.
func archived(t *testing.T, f *testenv.Fixture) string {
	t.Helper()
	numbers, err := archive.Numbers(f.Open("@roots"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(numbers)
}

func TestPrune(t *testing.T) {
	f, config := archiveDisk(t, 6)
	run := func(args ...string) roots.Report {
		t.Helper()
		got := ebb(t, append([]string{"prune", "--json", "--config", config, "--run-dir", t.TempDir()}, args...)...)
		var report roots.Report
		if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.status != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		return report
	}
	if got := ebb(t, "roots", "pin", "1", "the first", "--config", config); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	if report := run("--dry-run"); len(report.Verdicts) != 6 || len(report.Deleted) != 0 || archived(t, f) != "[1 2 3 4 5 6]" {
		t.Errorf("the dry run: %+v", report)
	}
	if report := run("--wait"); fmt.Sprint(report.Deleted) != "[2 3]" || archived(t, f) != "[1 4 5 6]" {
		t.Errorf("%+v; left %s", report, archived(t, f))
	}
	if report := run(); len(report.Deleted) != 0 {
		t.Errorf("again: %+v", report)
	}
	if got := ebb(t, "prune", "--config", config); got.status != 0 || !strings.Contains(got.stdout, "stays") {
		t.Errorf("for people: %+v", got)
	}
}

func TestRootsVerbs(t *testing.T) {
	f, config := archiveDisk(t, 3)
	dir, runDir := t.TempDir(), filepath.Join(t.TempDir(), "run")
	own := filepath.Join(runDir, "roots/000003")
	for _, test := range []struct {
		args       []string
		status     int
		stdout     string
		stderr     string
		stillThere string
	}{
		{[]string{"pin", "2", "good one"}, 0, "\nebb roots\n", "", ""},
		{[]string{"unpin", "2", "--json", "--dry-run"}, 0, `{
  "version": 1,
  "verb": "unpin",
  "dry_run": true,
  "archive": "@roots",
  "roots": [
    2
  ]
}`, "", ""},
		{[]string{}, 0, "(pinned: good one)", "", ""},
		{[]string{}, 0, "\nebb diff --from 3\n", "", ""},
		{[]string{"--json"}, 0, `"why": "good one"`, "", ""},
		{[]string{"delete", "2", "--yes"}, 1, "", "root 2 is pinned", "[1 2 3]"},
		{[]string{"unpin", "2"}, 0, "", "", ""},
		{[]string{"delete", "1"}, 2, "", "--yes", "[1 2 3]"},
		{[]string{"delete", "1", "--dry-run"}, 0, "would be deleting", "", "[1 2 3]"},
		{[]string{"delete", "1", "000002", "--yes", "--json"}, 0, `"verb": "delete"`, "", "[3]"},
		{[]string{"delete", "1", "--yes"}, 1, "", "there is no archived root 1", "[3]"},
		{[]string{"delete", "x", "--yes"}, 2, "", "not the number", "[3]"},
		{[]string{"fly"}, 2, "", "none of list, pin", ""},
		{[]string{"pin"}, 2, "", "arguments", ""},
		{[]string{"mount", "3", dir, "--dry-run"}, 0, "would be mounting root 3, read-only, on " + dir, "", ""},
		{[]string{"umount", dir}, 1, "", "no archived root is mounted", ""},
		{[]string{"mount", "3", dir}, 0, "\nebb roots umount " + dir + "\n", "read-only", ""},
		{[]string{"delete", "3", "--yes"}, 1, "", "mounted on " + dir, "[3]"},
		{[]string{"umount", dir, "--json"}, 0, `"directory": "` + dir, "", ""},
		{[]string{"umount", dir}, 1, "", "no archived root is mounted", ""},
		{[]string{"umount", "/"}, 1, "", "no archived root is mounted", ""},
		{[]string{"mount", "9", dir}, 1, "", "9", ""},
		{[]string{"mount", "3", "--dry-run"}, 0, "would be mounting root 3, read-only, on " + own, "", ""},
		{[]string{"umount", "3"}, 1, "", "no archived root is mounted on " + own, ""},
		{[]string{"mount", "3"}, 0, own + "\n\nebb roots umount " + own + "\n", "read-only", ""},
		{[]string{"mount", "3"}, 1, "", "something is mounted on " + own + " already", ""},
		{[]string{"umount", "000003"}, 0, "\nebb roots\n", "unmounting " + own, ""},
		{[]string{"umount", "3"}, 1, "", "no archived root is mounted on " + own, ""},
		{[]string{"mount", "3", "--json"}, 0, `"directory": "` + own, "", ""},
		{[]string{"umount", own}, 0, "", "", ""},
		{[]string{"mount", "0"}, 2, "", "not the number", ""},
		{[]string{"mount"}, 2, "", "arguments", ""},
	} {
		got := ebb(t, append([]string{"roots", "--config", config, "--run-dir", runDir}, test.args...)...)
		if got.status != test.status || !strings.Contains(got.stdout, test.stdout) || !strings.Contains(got.stderr, test.stderr) {
			t.Errorf("%q: %+v", test.args, got)
		}
		if test.stillThere != "" && archived(t, f) != test.stillThere {
			t.Errorf("%q: left %s", test.args, archived(t, f))
		}
	}
}

// What is known of each root, and of the one that the present root follows.
func TestRootsList(t *testing.T) {
	f, config := archiveDisk(t, 2)
	dir := t.TempDir()
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	const system = "/nix/store/0123-nixos-system-laptop-26.05"
	testenv.Tree(t, dir, "dir nix", "dir nix/var", "dir nix/var/nix", "dir nix/var/nix/profiles", "link nix/var/nix/profiles/system-7-link "+system,
		"link nix/var/nix/profiles/system system-7-link", "link nix/var/nix/profiles/system-8-link "+system+"x")
	root, err := btrfs.Info(f.Open("@roots/000002/root"))
	if err != nil {
		t.Fatal(err)
	}
	for number, name := range []string{"y", ""} {
		meta := archive.Info{
			Sequence: uint64(number + 1), Archived: root.Changed.Add(time.Hour), Boot: archive.Boot{ID: fmt.Sprint("other", number)},
			Previous:   &archive.Boot{Time: root.Changed.Add(-27*time.Hour - 5*time.Minute), Kernel: "6.1\x1b", System: system + name},
			Subvolumes: []archive.Member{{Name: "root", Path: "@", Fresh: btrfs.UUID{1}, Old: root.UUID}},
		}
		if number == 1 {
			meta.Boot.ID = strings.TrimSpace(string(bootID))
		}
		text, err := meta.Marshal()
		if err == nil {
			err = os.WriteFile(f.Path("@roots", archive.DirectoryName(uint64(number+1)), "meta.json"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got := ebb(t, "roots", "--config", config, "--root", dir, "--size")
	lines := strings.Split(got.stdout, "\n")
	for i, want := range []string{
		"NUMBER ARCHIVED BOOTED RAN GENERATION KERNEL SIZE SUBVOLUMES", `1 d 3 h 7 6.1\x1b SIZE root (writable) (the present root follows it)`,
		`1 d 3 h laptop-26.05y 6.1\x1b SIZE root (writable)`, "", "SIZE is what the files take, also",
	} {
		line := strings.Join(strings.Fields(lines[min(i, len(lines)-1)]), " ")
		if line = regexp.MustCompile(`[0-9.]+ k?B `).ReplaceAllString(line, "SIZE "); !strings.Contains(line, want) {
			t.Errorf("line %d is %q", i, line)
		}
	}
	if got := ebb(t, "roots", "--json", "--config", config, "--root", dir); !strings.Contains(got.stdout, `"followed": true,`) ||
		!strings.Contains(got.stdout, `"generation": 7`) || !strings.Contains(got.stdout, `"ran_seconds": 97500`) {
		t.Errorf("%+v", got)
	}
}

// Nobody but root gets to an old root that is mounted.
func TestRootsMountWithoutDirectory(t *testing.T) {
	_, config := archiveDisk(t, 1)
	runDir := filepath.Join(t.TempDir(), "run")
	ebbRoots := func(args ...string) {
		t.Helper()
		if got := ebb(t, append(args, "--config", config, "--run-dir", runDir)...); got.status != 0 {
			t.Fatalf("%q: %+v", args, got)
		}
	}
	ebbRoots("roots", "mount", "1")
	for name, want := range map[string]os.FileMode{"": 0o755, "roots": 0o700} {
		if info, err := os.Stat(filepath.Join(runDir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(runDir, "roots/000001/etc/number")); err != nil || string(text) != "1" {
		t.Errorf("%q, %v", text, err)
	}
	ebbRoots("roots", "umount", "1")
	if left, err := os.ReadDir(filepath.Join(runDir, "roots")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if err := os.Mkdir(filepath.Join(runDir, "roots/000001"), 0o777); err != nil {
		t.Fatal(err)
	}
	ebbRoots("roots", "mount", "1") // in a directory that is there
	ebbRoots("roots", "umount", "1")
}

// What is mounted can be looked at and nothing else.
func TestRootsMount(t *testing.T) {
	_, config := archiveDisk(t, 1)
	dir := t.TempDir()
	if got := ebb(t, "roots", "mount", "1", dir, "--config", config); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	if text, err := os.ReadFile(filepath.Join(dir, "etc/number")); err != nil || string(text) != "1" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err == nil {
		t.Error("it can be written to")
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Flags&(unix.ST_NOSUID|unix.ST_NODEV|unix.ST_RDONLY) != unix.ST_NOSUID|unix.ST_NODEV|unix.ST_RDONLY {
		t.Errorf("flags %x, %v", s.Flags, err)
	}
}

func TestRestore(t *testing.T) {
	_, config := archiveDisk(t, 3)
	to := t.TempDir()
	for _, test := range []struct {
		args   []string
		status int
		want   string // in number, "-": not there
		stdout string
	}{
		{[]string{"/etc/number", "--to", to, "--dry-run"}, 0, "-", "would be restored from root 3: 1 file ("},
		{[]string{"/etc", "--to", to, "--dry-run", "--json"}, 0, "-", `"size": {
        "files": 1,
        "bytes": `},
		{[]string{"/etc/number", "--to", to}, 0, "3", "restored from root 3"},
		{[]string{"/etc/number", "--to", to}, 1, "3", ""},
		{[]string{"/etc/number", "--to", to, "--force", "--from", "1"}, 0, "1", "before-restore-1"},
		{[]string{"/etc/none", "/etc/number", "--to", to, "--force", "--json"}, 1, "3", `"from": 3`},
		{[]string{}, 2, "3", ""},
		{[]string{"/etc/number", "--to", to, "--into-store"}, 2, "3", ""},
	} {
		got := ebb(t, append([]string{"restore", "--config", config}, test.args...)...)
		text, err := os.ReadFile(filepath.Join(to, "number"))
		if err != nil {
			text = []byte("-")
		}
		if got.status != test.status || string(text) != test.want || !strings.Contains(got.stdout, test.stdout) {
			t.Errorf("%q: %+v; number %s", test.args, got, text)
		}
	}
}

func TestFind(t *testing.T) {
	f, config := archiveDisk(t, 3)
	testenv.Tree(t, f.Dir, "file @roots/000003/root/it's\x1b[2J 0600 0:0 x", "file @roots/000001/root/etc/same 0600 0:0", "file @roots/000002/root/etc/same 0600 0:0")
	for _, test := range []struct {
		args   []string
		status int
		stdout string
	}{
		{[]string{"number"}, 0, "/etc/number  3     1 B   "},
		{[]string{"number"}, 0, "\n\nebb restore --from 3 /etc/number\n"},
		{[]string{"--from", "2", "/etc/n*"}, 0, "ebb restore --from 2 /etc/number\n"},
		{[]string{"same"}, 0, "/etc/same  2 and 1 older  0 B   "},
		{[]string{"it*"}, 0, `/it's\x1b[2J  3     1 B   `},
		{[]string{"it*"}, 0, `ebb restore --from 3 $'/it\x27s\x1b\x5b2J'` + "\n"},
		{[]string{"--json", "same"}, 0, `"roots": [`},
		{[]string{"--json", "none"}, 1, `"found": []`},
		{[]string{"none", "\x1b"}, 1, "No archived root has none or \\x1b.\n"},
		{[]string{"["}, 1, ""},
		{[]string{}, 2, ""},
		{[]string{"number", "--from", "7"}, 1, ""},
	} {
		got := ebb(t, append([]string{"find", "--config", config}, test.args...)...)
		if got.status != test.status || !strings.Contains(got.stdout, test.stdout) || strings.Contains(got.stdout, "\x1b") {
			t.Errorf("%q: %+v", test.args, got)
		}
	}
}

func TestDoctorCommand(t *testing.T) {
	_, config := archiveDisk(t, 1)
	got := ebb(t, "doctor", "--config", config, "--run-dir", t.TempDir())
	if got.status != 1 || !strings.Contains(got.stdout, "fault: ebb has not run in this boot") {
		t.Errorf("%+v", got)
	}
	got = ebb(t, "doctor", "--json", "--config", writeFile(t, "{"), "--run-dir", t.TempDir())
	if got.status != 1 || !strings.Contains(got.stdout, `"ok": false`) {
		t.Errorf("%+v", got)
	}
}

// A store that is not there has no trash to be emptied, which is no failure.
func TestPruneWithoutStore(t *testing.T) {
	f, _ := archiveDisk(t, 2)
	config := writeFile(t, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}, "stores": {"/gone": {}}}`, f.Device()))
	for _, args := range [][]string{{"--dry-run"}, {}} {
		if r := ebb(t, append([]string{"prune", "--config", config, "--run-dir", t.TempDir(), "--root", t.TempDir()}, args...)...); r.status != 0 || !strings.Contains(r.stdout, "NUMBER") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
