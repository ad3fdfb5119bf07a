package walk

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// Each inode counts its space once, however many names it has; a directory counts
// for what is below it.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir a", "file a/one 0644 0:0 x", "file alone 0644 0:0 x", "fifo a/p")
	if err := os.Link(filepath.Join(dir, "a/one"), filepath.Join(dir, "a/two")); err != nil {
		t.Fatal(err)
	}
	var one unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "a/one"), &one); err != nil {
		t.Fatal(err)
	}
	block := uint64(one.Blocks) * 512
	for name, want := range map[string]Usage{"a": {Files: 3, Bytes: block}, "alone": {Files: 1, Bytes: block}, ".": {Files: 4, Bytes: 2 * block}} {
		fd, err := unix.Open(filepath.Join(dir, name), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		var got Usage
		if err := got.Of(fd); err != nil || got.Files != want.Files || got.Bytes != want.Bytes {
			t.Errorf("%s: %d files, %d bytes, %v; want %d and %d", name, got.Files, got.Bytes, err, want.Files, want.Bytes)
		}
	}
	if err := new(Usage).Of(-1); err == nil {
		t.Error("what is not open has a size")
	}
}

// A walk of what is no directory, and entries that no kernel makes.
func TestNothingToWalk(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "file f")
	fd, err := unix.Open(filepath.Join(dir, "f"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w := Walk{Visit: func(*Walk, string, uint8) (bool, uint64, error) {
		t.Error("a file has something in it")
		return false, 0, nil
	}}
	if err := w.Tree(fd, 0); err == nil {
		t.Error("a file can be walked")
	}
	long := make([]byte, 24)
	long[16] = 25 // longer than there is
	for _, data := range [][]byte{nil, make([]byte, 18), make([]byte, 24), long} {
		if name, _, rest := parseEntry(data); name != "" || len(rest) > 0 {
			t.Errorf("%v: name %q, and %d bytes more", data, name, len(rest))
		}
	}
}
