package mounts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestMergeUtab(t *testing.T) {
	log := mark{"/dev/vda", "/var/log", "/@persist/var/log", "x-initrd.mount"}
	blank := mark{"tmpfs", "/with blank", "/b\\c", "x-initrd.mount,x-gvfs-hide"}
	const (
		logLine   = "SRC=/dev/vda TARGET=/var/log ROOT=/@persist/var/log OPTS=x-initrd.mount\n"
		blankLine = `SRC=tmpfs TARGET=/with\040blank ROOT=/b\134c OPTS=x-initrd.mount,x-gvfs-hide` + "\n"
		foreign   = "SRC=/dev/vdb TARGET=/mnt ROOT=/ ATTRS=x OPTS=uhelper=udisks2\n"
		oldLog    = "ID=31 SRC=/dev/vda TARGET=/var/log ROOT=/@persist/var/log BINDSRC=/persist/var/log OPTS=x-old\n"
		otherLog  = "SRC=/dev/vda TARGET=/var/log ROOT=/elsewhere OPTS=x-other\n"
	)
	tests := []struct {
		name, old string
		marks     []mark
		want      string
	}{
		{"new", "", []mark{log, blank}, logLine + blankLine},
		{"foreign lines stay", foreign + otherLog, []mark{log}, foreign + otherLog + logLine},
		{"own lines are replaced", oldLog + foreign + logLine, []mark{log}, foreign + logLine},
		{"again", logLine + blankLine, []mark{log, blank}, logLine + blankLine},
		{"no newline at the end", strings.TrimSuffix(foreign, "\n"), []mark{log}, foreign + logLine},
		{"comments and rubbish", "# utab\n\n\\ =\n", []mark{log}, "# utab\n\n\\ =\n" + logLine},
	}
	for _, test := range tests {
		if got := string(mergeUtab([]byte(test.old), test.marks)); got != test.want {
			t.Errorf("%s:\ngot\n%swant\n%s", test.name, got, test.want)
		}
	}
}

func FuzzMergeUtab(f *testing.F) {
	f.Add("SRC=a TARGET=/b ROOT=/c OPTS=d\n#\n", "a", "/b", "/c")
	f.Add("", "", " \n\\", "=")
	f.Add("0", "\r", "0", "0")
	f.Fuzz(func(t *testing.T, old, source, target, root string) {
		marks := []mark{{source, target, root, "x-initrd.mount"}}
		once := mergeUtab([]byte(old), marks)
		if twice := mergeUtab(once, marks); !bytes.Equal(once, twice) {
			t.Errorf("merged once:\n%q\ntwice:\n%q", once, twice)
		}
	})
}

func TestRootInside(t *testing.T) {
	tests := []struct {
		root, point, path string
		want              string
		inside            bool
	}{
		{"/", "/sysroot/persist", "/sysroot/persist/var/log", "/var/log", true},
		{"/@persist", "/sysroot/persist", "/sysroot/persist/var/log", "/@persist/var/log", true},
		{"/@", "/", "/persist/a", "/@/persist/a", true},
		{"/", "/", "/persist/a", "/persist/a", true},
		{"/@persist/x", "/persist/x", "/persist/x", "/@persist/x", true},
		{"/", "/persist", "/persistent/a", "", false},
		{"/", "/elsewhere", "/persist/a", "", false},
	}
	for _, test := range tests {
		got, inside := rootInside(&MountInfo{Root: test.root, MountPoint: test.point}, test.path)
		if got != test.want || inside != test.inside {
			t.Errorf("%+v: %q, %v", test, got, inside)
		}
	}
}

// TestUtabIsReadByLibmount has findmnt, and so libmount, show the options of
// mounts. LIBMOUNT_UTAB names another utab, for tests like this one.
func TestUtabIsReadByLibmount(t *testing.T) {
	findmnt, err := exec.LookPath("findmnt")
	if err != nil {
		t.Skip("no findmnt")
	}
	g := newGround(t)
	g.root.Utab = filepath.Join(t.TempDir(), "mount/utab")
	// Seen from a root of its own, as after switch-root: the test's root is
	// "/" for it then, and the targets are without what is above.
	hidden, plain, trash := directory("/with blank"), file("/plain"), directory("/nested/mount/trash")
	hidden.Hidden, trash.Trash = true, true
	hidden.Options = []string{"noexec", "x-special=1"}
	g.entries(hidden, plain, trash)
	if err := os.MkdirAll(g.path("persist/nested/mount"), 0o755); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, g.path("persist/nested/mount"))
	for path, r := range g.mount() {
		if r.State != InPlace || len(r.Notes) > 0 {
			t.Errorf("%s: %+v", path, r)
		}
	}
	utab, err := os.ReadFile(g.root.Utab)
	if err != nil {
		t.Fatal(err)
	}
	// What findmnt reads has the targets as this process sees them.
	seen := bytes.ReplaceAll(utab, []byte("TARGET=/"), []byte("TARGET="+g.dir+"/"))
	seenPath := filepath.Join(t.TempDir(), "seen")
	if err := os.WriteFile(seenPath, seen, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"with blank": "x-initrd.mount,x-gvfs-hide,x-special=1", "plain": "x-initrd.mount", "nested/mount/trash": "x-initrd.mount,x-gvfs-trash",
	} {
		command := exec.Command(findmnt, "--mtab", "-n", "-r", "-o", "OPTIONS", "--mountpoint", g.path(path))
		command.Env = append(os.Environ(), "LIBMOUNT_UTAB="+seenPath)
		output, err := command.CombinedOutput()
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(output)), ","+want) {
			t.Errorf("%s: findmnt says %q (%v), want %s; utab:\n%s", path, output, err, want, seen)
		}
	}

	// A second run leaves the file alone, and a lost one is written again.
	var before, after unix.Stat_t
	if err := unix.Stat(g.root.Utab, &before); err != nil {
		t.Fatal(err)
	}
	g.mount()
	if err := unix.Stat(g.root.Utab, &after); err != nil || before.Ino != after.Ino {
		t.Errorf("the second run wrote utab again (%v)", err)
	}
	if err := os.Remove(g.root.Utab); err != nil {
		t.Fatal(err)
	}
	g.mount()
	if again, err := os.ReadFile(g.root.Utab); err != nil || !bytes.Equal(again, utab) {
		t.Errorf("written again:\n%s(%v), want\n%s", again, err, utab)
	}
	if _, err := os.Stat(g.root.Utab + ".event"); err != nil {
		t.Errorf("nobody was told: %v", err)
	}
}

// TestUtabLock has another program hold the lock.
func TestUtabLock(t *testing.T) {
	dir := t.TempDir()
	fd := testenv.OpenDir(t, dir)
	first, err := lockUtab(fd, "utab.lock")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		unix.Close(first)
	}()
	second, err := lockUtab(fd, "utab.lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(second)
	if _, err := lockUtab(fd, "utab.lock"); err == nil {
		t.Error("got a lock that is held")
	}
}

// TestUtabUnwritable makes sure that mounts are in place without it.
func TestUtabUnwritable(t *testing.T) {
	g := newGround(t)
	g.tree("file run/mount")
	g.root.Utab = g.path("run/mount/utab")
	g.entries(directory("/srv"))
	report := g.root.Mount()
	g.requireState(byPath(report), "/srv", InPlace)
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "run/mount") {
		t.Errorf("notes %q", report.Notes)
	}
}
