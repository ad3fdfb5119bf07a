package copytree

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestDeep copies and removes a tree of a depth that no path can have, with
// few descriptors.
func TestDeep(t *testing.T) {
	const depth = 5000
	dir := t.TempDir()
	if err := unix.Mount("test", dir, "tmpfs", 0, ""); err == nil { // much faster than a disk
		defer unix.Unmount(dir, unix.MNT_DETACH)
	}
	top := testenv.OpenDir(t, dir)
	makeDeep(t, top, "deep", depth)

	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = 128
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)

	stats, err := copyOf(t, dir, "deep", "copy", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Files != 2*depth {
		t.Errorf("%+v, want %d files", stats, 2*depth)
	}
	if _, err := copyOf(t, dir, "deep", "limited", Options{Limit: Limit{Files: depth}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("limited copy: %v", err)
	}
	for _, name := range []string{"deep", "copy"} {
		if err := Remove(top, name); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func makeDeep(t *testing.T, top int, name string, depth int) {
	t.Helper()
	fd := top
	for range depth {
		if err := sys.MakeDirectory(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := sys.OpenComponent(fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			t.Fatal(err)
		}
		if fd != top {
			unix.Close(fd)
		}
		if file, err := sys.CreateComponent(next, "file", unix.O_WRONLY, 0o644); err != nil {
			t.Fatal(err)
		} else {
			unix.Close(file)
		}
		fd, name = next, strings.Repeat("d", 10)
	}
	unix.Close(fd)
}
