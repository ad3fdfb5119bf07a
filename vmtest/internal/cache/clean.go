package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clean removes what nobody has used for as long as age: builds by keys that nothing asks for any more, and what killed
// processes have left half done. It returns the names of what it has removed.
func (c *Cache) Clean(age time.Duration) ([]string, error) {
	unlock, err := lock(filepath.Join(c.root, "clean.lock"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil // somebody is at it
	}
	if err != nil {
		return nil, fmt.Errorf("clean cache: %w", err)
	}
	defer unlock()
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return nil, fmt.Errorf("clean cache: %w", err)
	}
	// A build or a program by its key, or what os.MkdirTemp has named.
	removable := regexp.MustCompile(`^[^.].*-[0-9a-f]{16}$|^\.[a-z]+-`)
	var removed []string
	var errs []error
	for _, e := range entries {
		path := filepath.Join(c.root, e.Name())
		if !removable.MatchString(e.Name()) || !unused(path, age) {
			continue
		}
		ok, err := removeUnused(path, age)
		if ok {
			removed = append(removed, e.Name())
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return removed, fmt.Errorf("clean cache: %w", err)
	}
	return removed, nil
}

// unused tells whether path is there and has not been touched for that long.
func unused(path string, age time.Duration) bool {
	st, err := os.Lstat(path)
	return err == nil && time.Since(st.ModTime()) > age
}

// removeUnused removes path, unless somebody has a hand on it. The file with the lock stays, for whoever waits for it
// would otherwise hold another lock than those who come later.
func removeUnused(path string, age time.Duration) (bool, error) {
	if strings.HasPrefix(filepath.Base(path), ".") {
		return true, removeTree(path) // of a process that is no more: nobody else knows the name
	}
	unlock, err := lock(path+".lock", unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unlock()
	if !unused(path, age) {
		return false, nil
	}
	// By the name that others look for it goes at once and whole.
	gone, err := os.MkdirTemp(filepath.Dir(path), ".removing-")
	if err != nil {
		return false, err
	}
	if err := os.Rename(path, filepath.Join(gone, "old")); err != nil {
		return false, errors.Join(err, os.Remove(gone))
	}
	return true, removeTree(gone)
}

// touch notes that a build is in use. It reports whether there is one.
func touch(path string) (bool, error) {
	now := time.Now()
	err := os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
