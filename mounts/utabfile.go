package mounts

import (
	"bytes"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// utabLimit bounds what is read of utab, in bytes.
const utabLimit = 64 << 20

// utabPatience is how long another program may hold the lock of utab. libmount
// itself holds it for the time of reading and writing the file.
const utabPatience = 2 * time.Second

// writeUtab enters the marks of all entries, at once.
func (u *run) writeUtab() error {
	if len(u.marks) == 0 {
		return nil
	}
	dirName, name := splitPath(u.root.Utab)
	// Only libmount's own directory can be missing; /run is the service manager's.
	if err := unix.Mkdir(dirName, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return &fs.PathError{Op: "mkdir", Path: dirName, Err: err}
	}
	dir, err := sys.OpenDirectory(dirName)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := u.updateUtab(dir, name); err != nil {
		return format.Errorf("update %s: %w", u.root.Utab, err)
	}
	return nil
}

func (u *run) updateUtab(dir int, name string) error {
	lock, err := lockUtab(dir, name+".lock")
	if err != nil {
		return err
	}
	defer unix.Close(lock)
	old, err := sys.ReadFile(dir, name, utabLimit)
	if err != nil && !isMissing(err) {
		return err
	}
	data := mergeUtab(old, u.marks)
	if bytes.Equal(old, data) {
		return nil
	}
	if u.root.Observe != nil {
		u.root.Observe(Step{Verb: WriteUtab, Path: u.root.Utab})
	}
	if err := sys.ReplaceFile(dir, name, data, 0o644); err != nil {
		return err
	}
	return announceUtab(dir, name+".event")
}

// lockUtab takes the lock as lock_simplelock of libmount's lock.c does: flock
// on a file beside utab. The lock is let go when the descriptor is closed.
func lockUtab(dir int, name string) (int, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return -1, format.Errorf("open %s: %w", name, err)
	}
	for deadline := time.Now().Add(utabPatience); ; {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			unix.Close(fd)
			return -1, format.Errorf("lock %s: %w", name, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// announceUtab tells those who watch, systemd among them, that utab has
// changed: since libmount 2.39 by closing this file (mnt_update_emit_event).
func announceUtab(dir int, name string) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return format.Errorf("open %s: %w", name, err)
	}
	return sys.Close(fd)
}
