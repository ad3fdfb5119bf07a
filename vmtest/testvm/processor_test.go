package testvm

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A test has one processor until it is over, and leaves those of others alone.
func TestTakeProcessor(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1", "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	isFree := func(name string) bool {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
	}
	other, err := os.Open(filepath.Join(dir, "1"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Run("test", func(t *testing.T) {
		takeProcessor(t, dir)
		if isFree("1") || isFree("2") {
			t.Error("no processor was taken")
		}
	})
	if isFree("1") || !isFree("2") {
		t.Error("behind the test its processor is not free, or that of another is")
	}
}
