package cache

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "new", "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBuildOnce(t *testing.T) {
	c := open(t)
	var builds atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := c.Build("thing", "k", func(dir string) error {
				builds.Add(1)
				return os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "f")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	c := open(t)
	broken := errors.New("broken")
	_, err := c.Build("thing", "k", func(dir string) error {
		// A directory that may not be written is no obstacle, whoever runs the test.
		return errors.Join(broken, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755), os.Chmod(filepath.Join(dir, "a"), 0o500))
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(c.Root())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
	if _, err := c.Build("thing", "k", func(string) error { return nil }); err != nil {
		t.Errorf("the next build: %v", err)
	}
}

func TestKey(t *testing.T) {
	if Key("ab", "c") == Key("a", "bc") {
		t.Error("parts run into each other")
	}
	if first, second := Key("a"), Key("a"); first != second || len(first) != 16 {
		t.Error("a key is not a short, stable name")
	}
}

func TestCleanRemovesWhatIsUnused(t *testing.T) {
	c := open(t)
	build := func(key string) string {
		dir, err := c.Build("thing", key, func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "closed"), 0o755), os.Chmod(filepath.Join(dir, "closed"), 0o500))
		})
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const age = 24 * time.Hour
	long := time.Now().Add(-2 * age)
	oldKey, newKey, busyKey, usedKey := Key("old"), Key("new"), Key("busy"), Key("used")
	stay := []string{filepath.Join(c.Root(), "apt"), build(newKey), build(busyKey), build(usedKey)}
	gone := []string{build(oldKey), filepath.Join(c.Root(), ".building-x-1"), filepath.Join(c.Root(), "guest-"+oldKey)}
	for _, dir := range []string{stay[0], gone[1], gone[2]} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range append([]string{stay[0], stay[2], stay[3]}, gone...) {
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
	}
	build(usedKey) // is there, and in use again
	unlock, err := lock(stay[2]+".lock", unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	removed, err := c.Clean(age)
	if err != nil || len(removed) != len(gone) {
		t.Errorf("removed %q, %v", removed, err)
	}
	for _, path := range stay {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	for _, path := range gone {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", path, err)
		}
	}
}

// Packages bring the times of their directories along, that of the tree's root,
// too: a build of today is not as old as what is in it.
func TestCleanLeavesNewBuildsWithOldFiles(t *testing.T) {
	c := open(t)
	dir, err := c.Build("thing", Key("k"), func(dir string) error {
		return os.Chtimes(dir, time.Unix(0, 0), time.Unix(0, 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	if removed, err := c.Clean(time.Hour); err != nil || len(removed) > 0 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
