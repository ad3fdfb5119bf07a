package initramfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ebb-nix/ebb/vmtest/files"
)

// multiarch is where Debian keeps shared libraries on amd64.
const multiarch = "usr/lib/x86_64-linux-gnu"

// linker is the dynamic linker that dynamic programs name in their PT_INTERP header, less the merged-/usr link.
const linker = "usr/lib64/ld-linux-x86-64.so.2"

// closure collects files of a tree together with all that they cannot run without: the targets of symbolic links, the
// dynamic linker, and shared libraries.
type closure struct {
	tree  string
	files map[string]files.File
}

// add takes a file of the tree by its path from the tree's root.
func (c *closure) add(name string) error {
	name = path.Clean(strings.TrimPrefix(name, "/"))
	if _, ok := c.files[name]; ok {
		return nil
	}
	host := filepath.Join(c.tree, name)
	st, err := os.Lstat(host)
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		return c.addLink(name, host)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s: neither a file nor a link", host)
	}
	c.files[name] = files.File{Path: name, Mode: st.Mode().Perm(), Source: host}
	return c.addLibraries(name, host)
}

func (c *closure) addLink(name, host string) error {
	target, err := os.Readlink(host)
	if err != nil {
		return err
	}
	c.files[name] = files.Symlink(name, target)
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(name), target)
	}
	if target == "/dev/null" {
		return nil
	}
	if err := c.add(target); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// addLibraries adds what an ELF file needs. Files of any other format need nothing.
func (c *closure) addLibraries(name, host string) error {
	f, err := elf.Open(host)
	var format *elf.FormatError
	if errors.As(err, &format) {
		return nil
	}
	if err != nil {
		return nil //nolint:nilerr // too short for an ELF header: io.EOF
	}
	defer f.Close()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(needed) > 0 {
		if err := c.add(linker); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	runpath, err := f.DynString(elf.DT_RUNPATH)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, lib := range needed {
		if err := c.addLibrary(lib, runpath); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// addLibrary looks in the directories that ld.so(8) would search, in its order.
func (c *closure) addLibrary(lib string, runpath []string) error {
	dirs := append(strings.Split(strings.Join(runpath, ":"), ":"), multiarch, "usr/lib64", multiarch+"/systemd")
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		name := path.Join(strings.TrimPrefix(dir, "/"), lib)
		if _, err := os.Lstat(filepath.Join(c.tree, name)); err == nil {
			return c.add(name)
		}
	}
	return fmt.Errorf("shared library %s: %w", lib, fs.ErrNotExist)
}
