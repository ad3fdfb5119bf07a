package walk

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

// all returns the paths that a walk visits, in order.
func all(t *testing.T, dir string, visit func(w *Walk, name string)) (string, error) {
	t.Helper()
	var paths []string
	w := &Walk{Visit: func(w *Walk, name string, _ uint8) (bool, uint64, error) {
		paths = append(paths, w.Path(name))
		if visit != nil {
			visit(w, name)
		}
		return true, 0, nil
	}}
	err := w.Tree(testenv.OpenDir(t, dir), 0)
	sort.Strings(paths)
	return strings.Join(paths, " "), err
}

func TestTree(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir a", "dir a/b", "file a/b/f", "dir c", "file c/g", "link c/l a", "link out /etc", "fifo p")
	if got, err := all(t, dir, nil); got != "a a/b a/b/f c c/g c/l out p" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	var entered, left []string
	w := &Walk{
		Visit: func(w *Walk, name string, kind uint8) (bool, uint64, error) {
			if status, err := w.Stat(name); err != nil || uint8(status.Type()>>12) != kind {
				t.Errorf("%s: kind %d, %v", name, kind, err)
			}
			if name == "f" {
				entered = append(entered, w.Path(""))
				if w.Mark() != 122 {
					t.Errorf("mark %d", w.Mark())
				}
			}
			return name != "c", w.Mark()*10 + uint64(len(name)) + 1, nil
		},
		Leave: func(w *Walk, name string) error {
			left = append(left, w.Path(name))
			return nil
		},
	}
	if err := w.Tree(testenv.OpenDir(t, dir), 1); err != nil {
		t.Fatal(err)
	}
	if strings.Join(entered, " ") != "a/b" || strings.Join(left, " ") != "a/b a" {
		t.Errorf("entered %q, left %q", entered, left)
	}
	stop := errors.New("stop")
	w.Visit = func(*Walk, string, uint8) (bool, uint64, error) { return true, 0, stop }
	if err := w.Tree(testenv.OpenDir(t, dir), 0); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// Paths beyond PATH_MAX, and more directories than descriptors.
func TestDeep(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const depth = 500
	fd := testenv.OpenDir(t, dir)
	at, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range depth {
		for _, name := range []string{"directory", "other"} {
			if err := unix.Mkdirat(at, name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		next, err := unix.Openat(at, "directory", unix.O_PATH|unix.O_DIRECTORY, 0)
		unix.Close(at)
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	unix.Close(at)
	few := old
	few.Cur = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	count, deepest := 0, 0
	w := &Walk{Visit: func(w *Walk, _ string, _ uint8) (bool, uint64, error) {
		count++
		deepest = max(deepest, w.Depth())
		return true, 0, nil
	}}
	if err := w.Tree(fd, 0); err != nil || count != 2*depth || deepest != depth-1 {
		t.Errorf("%d names, depth %d, %v", count, deepest, err)
	}
}

// A directory that its owner moves out of the tree during the walk takes along
// nothing but itself.
func TestMoved(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir top", "dir top/a", "dir top/a/b", "dir top/a/b/c", "file top/a/x", "dir top/z", "file top/z/y", "dir away", "file away/secret")
	got, err := all(t, filepath.Join(dir, "top"), func(w *Walk, name string) {
		if name == "c" {
			if err := os.Rename(filepath.Join(dir, "top/a/b"), filepath.Join(dir, "away/b")); err != nil {
				t.Error(err)
			}
		}
	})
	if got != "a a/b a/b/c a/x z z/y" {
		t.Errorf("got %s, %v", got, err)
	}
	if strings.Contains(got, "secret") {
		t.Error("it left the tree")
	}
}

func TestSwappedForALink(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir top", "dir top/a", "dir away", "file away/secret")
	got, err := all(t, filepath.Join(dir, "top"), func(w *Walk, name string) {
		if name == "a" {
			if err := errors.Join(os.Remove(filepath.Join(dir, "top/a")), os.Symlink(filepath.Join(dir, "away"), filepath.Join(dir, "top/a"))); err != nil {
				t.Error(err)
			}
		}
	})
	if got != "a" || err == nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestMountsAreNotEntered(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir a", "dir m")
	if err := unix.Mount("tmpfs", filepath.Join(dir, "m"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(filepath.Join(dir, "m"), unix.MNT_DETACH)
	testenv.Tree(t, dir, "file m/inside")
	if got, err := all(t, dir, nil); got != "a m" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}
