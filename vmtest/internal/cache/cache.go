// Package cache keeps directories that are costly to make: each is built once, under a lock, and appears whole or not
// at all, so that test processes which run side by side share them.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Cache is a directory of finished builds.
type Cache struct {
	root string
}

// Open returns the cache below root, which is made when missing.
func Open(root string) (*Cache, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("cache %q: %w", root, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	return &Cache{root: abs}, nil
}

// Root is the absolute path of the cache.
func (c *Cache) Root() string { return c.root }

// Key turns everything that a build depends on into a short name for its result.
func Key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p) // hash.Hash never fails to write
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Build returns the directory name-key, and makes it with build when it is not there. Build gets an empty directory
// beside the final one; only when build has returned nil does the result get its name, by one rename(2).
func (c *Cache) Build(name, key string, build func(dir string) error) (string, error) {
	final := filepath.Join(c.root, name+"-"+key)
	unlock, err := lock(final+".lock", unix.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer unlock()
	if there, err := touch(final); there || err != nil {
		return final, err
	}
	tmp, err := os.MkdirTemp(c.root, ".building-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if err := build(tmp); err != nil {
		return "", errors.Join(fmt.Errorf("build %s: %w", name, err), removeTree(tmp))
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp makes it 0700
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	// What was unpacked into it may have left it with the time of a package.
	_, err = touch(final)
	return final, err
}

// Locked runs do while no other process is in Locked with the same name.
func (c *Cache) Locked(name string, do func() error) error {
	unlock, err := lock(filepath.Join(c.root, name+".lock"), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}

// lock takes an flock(2), which the kernel drops with the process: a killed build leaves nothing that blocks the next.
func lock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing an unwritten file can only fail with nothing lost
}

// removeTree is os.RemoveAll for trees with directories that their owner may not write, as Debian packages have them.
func removeTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
