package btrfs_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// runTool runs a program and returns its output. The test is skipped when it
// is not installed.
func runTool(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, arguments, err, output)
	}
	return string(output)
}

// shown parses the output of btrfs subvolume show.
func shown(t *testing.T, path string) map[string]string {
	t.Helper()
	result := make(map[string]string)
	for line := range strings.Lines(runTool(t, "btrfs", "subvolume", "show", path)) {
		if key, value, found := strings.Cut(line, ":"); found {
			result[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return result
}

func TestInfoAgainstBtrfsProgs(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "file @/f 0644 0:0 text", "subvolume @/var/lib/machines")
	requireNoError(t, btrfs.Snapshot(f.Open(), "snapshot", f.Open("@"), true))
	for _, path := range []string{"@", "@/var/lib/machines", "snapshot"} {
		info, want := mustInfo(t, f.Open(path)), shown(t, f.Path(path))
		uuidText := func(uuid btrfs.UUID) string {
			if uuid.IsZero() {
				return "-"
			}
			return uuid.String()
		}
		flags := map[bool]string{true: "readonly", false: "-"}[info.Flags.IsReadOnly()]
		got := map[string]string{
			"Name":          info.Name,
			"UUID":          info.UUID.String(),
			"Parent UUID":   uuidText(info.ParentUUID),
			"Received UUID": uuidText(info.ReceivedUUID),
			"Creation time": info.Created.Local().Format("2006-01-02 15:04:05 -0700"),
			"Subvolume ID":  strconv.FormatUint(info.ID, 10),
			"Generation":    strconv.FormatUint(info.TransactionID, 10),
			"Parent ID":     strconv.FormatUint(info.ParentID, 10),
			"Flags":         flags,
		}
		for key := range got {
			if got[key] != want[key] {
				t.Errorf("%s: %s is %q, btrfs-progs say %q", path, key, got[key], want[key])
			}
		}
	}
}

func TestInfo(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "dir roots", "subvolume roots/a", "dir roots/a/b")
	info := mustInfo(t, f.Open("roots", "a"))
	var directory unix.Stat_t
	requireNoError(t, unix.Stat(f.Path("roots"), &directory))
	if info.DirectoryID != directory.Ino || info.ParentID != btrfs.TopLevelID {
		t.Errorf("lies in %d of %d, want %d of 5", info.DirectoryID, info.ParentID, directory.Ino)
	}
	if age := time.Since(info.Created); age < -time.Second || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	// Any descriptor in the subvolume will do.
	if inside := mustInfo(t, f.Open("roots", "a", "b")); inside.UUID != info.UUID {
		t.Errorf("from inside: %+v", inside)
	}
	top := mustInfo(t, f.Open())
	if top.ID != btrfs.TopLevelID || top.ParentID != 0 || top.Name != "" {
		t.Errorf("top level: %+v", top)
	}
	// The uuid stays with the subvolume when it is renamed.
	requireNoError(t, os.Rename(f.Path("roots/a"), f.Path("c")))
	if renamed := mustInfo(t, f.Open("c")); renamed.UUID != info.UUID || renamed.ID != info.ID || renamed.Name != "c" {
		t.Errorf("renamed: %+v, was %+v", renamed, info)
	}
}

func TestFSInfo(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{MkfsOptions: []string{"--uuid", "0c7b4d4a-2f3f-4a52-9d0e-9a3f5a6b7c8d"}})
	info, err := btrfs.FSInfo(f.Open())
	requireNoError(t, err)
	if info.UUID.String() != "0c7b4d4a-2f3f-4a52-9d0e-9a3f5a6b7c8d" || info.DeviceCount != 1 ||
		info.NodeSize < 4096 || info.SectorSize < 4096 {
		t.Errorf("got %+v", info)
	}
}

func TestOtherFileSystems(t *testing.T) {
	proc := testenv.OpenDir(t, "/proc")
	if is, err := btrfs.IsBtrfs(proc); err != nil || is {
		t.Errorf("/proc is btrfs: %v, %v", is, err)
	}
	if is, err := btrfs.IsSubvolume(proc); err != nil || is {
		t.Errorf("/proc is a subvolume: %v, %v", is, err)
	}
	calls := map[string]func() error{
		"CreateSubvolume":    func() error { return btrfs.CreateSubvolume(proc, "a") },
		"Snapshot":           func() error { return btrfs.Snapshot(proc, "a", proc, false) },
		"DeleteByID":         func() error { return btrfs.DeleteByID(proc, 256) },
		"SetReadOnly":        func() error { return btrfs.SetReadOnly(proc, true) },
		"GetFlags":           func() error { _, err := btrfs.GetFlags(proc); return err },
		"Info":               func() error { _, err := btrfs.Info(proc); return err },
		"FSInfo":             func() error { _, err := btrfs.FSInfo(proc); return err },
		"List":               func() error { _, err := btrfs.List(proc); return err },
		"DefaultSubvolumeID": func() error { _, err := btrfs.DefaultSubvolumeID(proc); return err },
		"Sync":               func() error { return btrfs.Sync(proc) },
	}
	for name, call := range calls {
		if err := call(); err == nil || !strings.Contains(err.Error(), "not a btrfs file system") {
			t.Errorf("%s on /proc: %v", name, err)
		}
	}
	if _, err := btrfs.IsBtrfs(-1); err == nil {
		t.Error("IsBtrfs(-1) succeeds")
	}
	if _, err := btrfs.IsSubvolume(-1); err == nil {
		t.Error("IsSubvolume(-1) succeeds")
	}
}

func TestIsSubvolume(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "dir a/b")
	for path, want := range map[string]bool{"": true, "a": true, "a/b": false} {
		if is, err := btrfs.IsSubvolume(f.Open(path)); err != nil || is != want {
			t.Errorf("%q is a subvolume: %v, %v", path, is, err)
		}
		if is, err := btrfs.IsBtrfs(f.Open(path)); err != nil || !is {
			t.Errorf("%q is on btrfs: %v, %v", path, is, err)
		}
	}
}

func TestSetReadOnly(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume a", "dir a/b")
	fd := f.Open("a")
	for _, readOnly := range []bool{true, true, false, false, true} {
		requireNoError(t, btrfs.SetReadOnly(fd, readOnly))
		flags, err := btrfs.GetFlags(fd)
		if err != nil || flags.IsReadOnly() != readOnly {
			t.Errorf("flags %v, %v; want read-only %v", flags, err, readOnly)
		}
		err = os.WriteFile(f.Path("a/f"), nil, 0o600)
		if (err == nil) == readOnly {
			t.Errorf("read-only %v, write: %v", readOnly, err)
		}
	}
	before := mustInfo(t, f.Open()).TransactionID
	requireNoError(t, btrfs.SetReadOnly(fd, true))
	if after := mustInfo(t, f.Open()).TransactionID; after != before {
		t.Errorf("setting what is set made a commit: %d, then %d", before, after)
	}
	requireError(t, btrfs.SetReadOnly(f.Open("a", "b"), true), btrfs.ErrNotSubvolume)
	f.Remount()
	if flags, err := btrfs.GetFlags(f.Open("a")); err != nil || !flags.IsReadOnly() {
		t.Errorf("after a remount: %v, %v", flags, err)
	}
}
