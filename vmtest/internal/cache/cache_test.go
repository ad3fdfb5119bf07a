package cache

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
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
