package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// findClosure does the work of NixOS's initrd-find-nixos-closure.service: the directory of init= on the kernel command
// line is the system to run, and link shall lead to it. The empty NEW_INIT makes "systemctl switch-root" hand its state
// over to the next systemd.
func findClosure(cmdline, link, conf string) error {
	text, err := os.ReadFile(cmdline)
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(string(text)) {
		if init, ok := strings.CutPrefix(word, "init="); ok {
			if err := os.WriteFile(conf, []byte("NEW_INIT=\n"), 0o644); err != nil {
				return err
			}
			return replaceLink(filepath.Dir(init), link)
		}
	}
	return fmt.Errorf("no init= in %s", cmdline)
}

// activate fills the root, which may be empty, so that the system that link leads to can run on it, as a NixOS
// activation script does. Overlay is a tree that is copied over the result.
func activate(root, link, overlay string) error {
	system, err := os.Readlink(link)
	if err != nil {
		return fmt.Errorf("activate: %w", err)
	}
	for _, step := range []func() error{
		func() error { return makeDirs(root) },
		func() error { return makeLinks(root, system) },
		func() error { return linkEtc(root, system) },
		func() error { return copyTree(overlay, root) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("activate %s: %w", system, err)
		}
	}
	return nil
}

func makeDirs(root string) error {
	for _, d := range []struct {
		path string
		mode uint32
	}{
		{"bin", 0o755},
		{"dev", 0o755},
		{"etc", 0o755},
		{"home", 0o755},
		{"proc", 0o555},
		{"root", 0o700},
		{"run", 0o755},
		{"sys", 0o555},
		{"tmp", 0o1777},
		{"var", 0o755},
		{"var/empty", 0o555},
	} {
		path := filepath.Join(root, d.path)
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue // its owner and mode are somebody's choice by now
		}
		if err != nil {
			return err
		}
		if err := syscall.Chmod(path, d.mode); err != nil {
			return &fs.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	return nil
}

// makeLinks stands in for what NixOS has in every binary: Debian's expect their files below /usr. As on NixOS, /bin is
// a directory that has little more than a shell.
func makeLinks(root, system string) error {
	for _, l := range []struct{ target, path string }{
		{filepath.Join(system, "usr"), "usr"},
		{"../usr/bin/bash", "bin/bash"},
		{"../usr/bin/sh", "bin/sh"},
		{"usr/lib", "lib"},
		{"usr/lib64", "lib64"},
		{"usr/sbin", "sbin"},
		{system, "run/current-system"},
		{system, "run/booted-system"},
		{filepath.Join(system, "etc"), "etc/static"},
	} {
		if err := replaceLink(l.target, filepath.Join(root, l.path)); err != nil {
			return err
		}
	}
	return nil
}

// linkEtc makes /etc as NixOS does: directories are real, files are links through /etc/static into the store. The
// account files are copies, for programs replace them. Links stay as they are: by its target systemd knows default.target
// for another name of a unit, and would take a link to a link for a unit of that name, with no wishes of its own.
func linkEtc(root, system string) error {
	store := filepath.Join(root, system, "etc")
	return filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == store {
			return err
		}
		rel, err := filepath.Rel(store, path)
		if err != nil {
			return err
		}
		to := filepath.Join(root, "etc", rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case rel == "passwd" || rel == "group" || rel == "shadow":
			return copyFile(path, to)
		case d.Type()&fs.ModeSymlink != 0:
			return copyLink(path, to)
		default:
			return replaceLink(filepath.Join("/etc/static", rel), to)
		}
	})
}

func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return replaceLink(target, to)
}

// replaceLink makes path a symbolic link to target, whatever was there.
func replaceLink(target, path string) error {
	if old, err := os.Readlink(path); err == nil && old == target {
		return nil
	}
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// copyTree copies directories, files and links with owners and modes. A tree that is not there is an empty one.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if path == from && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(dest, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			return copyLink(path, dest)
		default:
			return copyFile(path, dest)
		}
	})
}

func copyFile(from, to string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(from, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: from, Err: err}
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	tmp := to + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	if err := syscall.Chown(tmp, int(st.Uid), int(st.Gid)); err != nil {
		return &fs.PathError{Op: "chown", Path: tmp, Err: err}
	}
	if err := syscall.Chmod(tmp, st.Mode&0o7777); err != nil {
		return &fs.PathError{Op: "chmod", Path: tmp, Err: err}
	}
	return os.Rename(tmp, to)
}
