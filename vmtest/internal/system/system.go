// Package system puts together the tree that a test machine runs on after switch-root. As on NixOS it lies below
// /nix/store, on a file system that a rollback leaves alone, and all that the root has of it are links.
package system

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// leftOut are the parts of Debian's /usr that no test needs, by their paths from the tree's root.
func leftOut() map[string]bool {
	left := map[string]bool{}
	for _, name := range []string{
		"usr/games", "usr/include", "usr/src", "usr/lib/modules", // the modules come from the staged set
		"usr/lib/udev/hwdb.d", "usr/lib/udev/hwdb.bin", "usr/lib/systemd/catalog", "usr/lib/klibc",
		"usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl-base",
		"usr/share/bash-completion", "usr/share/doc", "usr/share/info", "usr/share/initramfs-tools",
		"usr/share/lintian", "usr/share/locale", "usr/share/man", "usr/share/perl5", "usr/share/zsh",
		// Generators with nothing to generate on this machine: each is a program more that an emulated processor runs.
		"usr/lib/systemd/system-generators/systemd-getty-generator",
		"usr/lib/systemd/system-generators/systemd-gpt-auto-generator",
		"usr/lib/systemd/system-generators/systemd-rc-local-generator",
		"usr/lib/systemd/system-generators/systemd-ssh-generator",
		"usr/lib/systemd/system-generators/systemd-sysv-generator",
		"usr/lib/systemd/system-generators/systemd-tpm2-generator",
	} {
		left[name] = true
	}
	return left
}

// Build makes the system's tree below dir: the packages' /usr, the staged kernel modules, and an /etc of its own.
func Build(tree debian.Tree, modules, dir string) error {
	if err := copyUsr(tree, dir); err != nil {
		return fmt.Errorf("copy the system's programs: %w", err)
	}
	staged := filepath.Join("usr", "lib", "modules")
	if err := os.CopyFS(filepath.Join(dir, staged), os.DirFS(filepath.Join(modules, staged))); err != nil {
		return fmt.Errorf("copy the kernel modules: %w", err)
	}
	return files.Write(dir, etc())
}

func copyUsr(tree debian.Tree, dir string) error {
	left := leftOut()
	return filepath.WalkDir(tree.Path("usr"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(string(tree), path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		switch {
		case left[rel] && d.IsDir():
			return fs.SkipDir
		case left[rel]:
			return nil
		case strings.HasPrefix(rel, unitDir+"/") && !wantedUnit(rel):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, to)
		}
		return copyFile(path, to)
	})
}

func copyFile(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return err
	}
	return os.Chmod(to, st.Mode().Perm())
}

// Fingerprint is everything in this package, besides its code, that the result of Build depends on.
func Fingerprint() []any {
	return []any{leftOut(), units(), wantsDirs(), etc()}
}
